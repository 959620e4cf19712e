"""Finds the operation of a request in dictionaries: the time does not depend on how many there are."""

from collections.abc import Sequence

from starlette.types import Scope

from app.http.operations import Operation


class Table:
    """The operations by path and method. The path with the fewest parameters that fits decides, whatever the method.

    A template is a path with None for each parameter; `_shapes` has the places of the parameters, by the number of
    segments.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._exact: dict[str, dict[str, Operation]] = {}
        self._templates: dict[tuple[str | None, ...], dict[str, tuple[Operation, dict[str, int]]]] = {}
        self._shapes: dict[int, list[tuple[int, ...]]] = {}
        for operation in operations:
            self._add(operation)

    def find(self, scope: Scope) -> bool:
        """Store the operation as scope["operation"], its handler as scope["endpoint"], and the parameters in its path.

        Return False if there is none.
        """
        # A service that is mounted below a prefix sees it in each path.
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        params: dict[str, str] = {}
        methods = self._exact.get(path)
        if methods is not None:
            operation = methods.get(scope["method"])
        else:
            operation, params = self._fitting(scope["method"], path.split("/"))
        if operation is None:
            return False
        scope["operation"] = operation
        scope["endpoint"] = operation.handler
        scope["path_params"] = params
        return True

    def _fitting(self, method: str, segments: list[str]) -> tuple[Operation | None, dict[str, str]]:
        for places in self._shapes.get(len(segments), ()):
            key: list[str | None] = [*segments]
            for place in places:
                key[place] = None
            methods = self._templates.get(tuple(key))
            if methods is not None and all(segments[place] for place in places):
                found = methods.get(method)
                if found is None:
                    break
                operation, names = found
                return operation, {name: segments[place] for name, place in names.items()}
        return None, {}

    def _add(self, operation: Operation) -> None:
        segments = operation.path.split("/")
        names = {segment[1:-1]: place for place, segment in enumerate(segments) if segment.startswith("{")}
        if not names:
            self._exact.setdefault(operation.path, {}).update(dict.fromkeys(operation.methods, operation))
            return
        template = tuple(None if place in names.values() else segment for place, segment in enumerate(segments))
        found = self._templates.setdefault(template, {})
        found.update(dict.fromkeys(operation.methods, (operation, names)))
        shapes = self._shapes.setdefault(len(segments), [])
        if (places := tuple(names.values())) not in shapes:
            shapes.append(places)
            shapes.sort(key=len)
