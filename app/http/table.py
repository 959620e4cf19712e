"""Finds the operation of a request in dictionaries: the time does not depend on how many there are."""

from collections.abc import Iterator, Sequence

from starlette.types import Scope

from app.http.operations import Operation


class Table:
    """The operations by method and path. A path without parameters comes before one with them.

    A template is a path with None for each parameter; `_shapes` has the places of the parameters, by the number of
    segments.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._exact: dict[tuple[str, str], Operation] = {}
        self._templates: dict[tuple[str | None, ...], tuple[Operation, dict[str, int]]] = {}
        self._shapes: dict[int, list[tuple[int, ...]]] = {}
        for operation in operations:
            for method in _methods(operation):
                self._add(method, operation)

    def find(self, scope: Scope) -> bool:
        """Store the operation as scope["operation"], its handler as scope["endpoint"], and the parameters in its path.

        Return False if there is none.
        """
        # A service that is mounted below a prefix sees it in each path.
        method, path = scope["method"], scope["path"].removeprefix(scope.get("root_path", ""))
        operation = self._exact.get((method, path))
        params: dict[str, str] = {}
        if operation is None:
            found = self._fitting(method, path.split("/"))
            if found is None:
                return False
            operation, params = found
        scope["operation"] = operation
        scope["endpoint"] = operation.handler
        scope["path_params"] = params
        return True

    def _fitting(self, method: str, segments: list[str]) -> tuple[Operation, dict[str, str]] | None:
        for places in self._shapes.get(len(segments), ()):
            key: list[str | None] = [method, *segments]
            for place in places:
                key[place + 1] = None
            found = self._templates.get(tuple(key))
            if found is not None and all(segments[place] for place in places):
                operation, names = found
                return operation, {name: segments[place] for name, place in names.items()}
        return None

    def _add(self, method: str, operation: Operation) -> None:
        segments = operation.path.split("/")
        names = {segment[1:-1]: place for place, segment in enumerate(segments) if segment.startswith("{")}
        if not names:
            self._exact[method, operation.path] = operation
            return
        template = [None if place in names.values() else segment for place, segment in enumerate(segments)]
        self._templates[method, *template] = operation, names
        shapes = self._shapes.setdefault(len(segments), [])
        if (places := tuple(names.values())) not in shapes:
            # Fewer parameters are more exact.
            shapes.append(places)
            shapes.sort(key=len)


def _methods(operation: Operation) -> Iterator[str]:
    yield operation.method
    if operation.method == "GET":
        yield "HEAD"
