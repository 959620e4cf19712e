"""Connects requests to the Watch: which route a request is counted for, and what its client is told of it."""

from collections.abc import Collection, Iterable, Mapping

from starlette.types import Message, Scope, Send

from app.http.operations import Operation
from app.http.watch import RequestWork, RouteFigures, Watch

# Methods that are counted by name. Any other one is an invention of its client.
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))


class Watched:
    """The routes of a service, each with its counters: `operations`, and the `paths` of other routes."""

    def __init__(self, watch: Watch, operations: Iterable[Operation], paths: Collection[str]) -> None:
        self.watch = watch
        self._paths = frozenset(paths)
        self._routes = {each: watch.add_route(each.method, each.path, each.id) for each in operations}

    def begin(self, scope: Scope, headers: Mapping[bytes, bytes]) -> RequestWork:
        """Return the work of a request, also as scope["work"]."""
        operation: Operation | None = scope.get("operation")
        route = self._routes[operation] if operation is not None else self._other(scope)
        scope["work"] = work = self.watch.begin(route, scope, headers.get(b"x-request-id"))
        return work

    def headers(self, scope: Scope, status: int) -> list[tuple[bytes, bytes]]:
        """Note the status. Return the headers with the id of the request, and in development with its times."""
        work: RequestWork = scope["work"]
        work.status = status
        told = [(b"x-request-id", work.id.encode())]
        if self.watch.tells_timing:
            told.append((b"server-timing", work.server_timing().encode()))
        return told

    def end(self, work: RequestWork) -> None:
        """Count a request that has ended."""
        # The work refers to the scope: a circle of both would keep everything of the request for the garbage collector.
        del work.scope["work"]
        self.watch.end(work)

    def sender(self, work: RequestWork, send: Send) -> Send:
        """Return `send` for a request that is no operation: it notes the status and adds the headers."""

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self.headers(work.scope, message["status"])]}
            await send(message)

        return tell

    def _other(self, scope: Scope) -> RouteFigures:
        method, path = scope["method"], scope["path"].removeprefix(scope.get("root_path", ""))
        return self.watch.other_route(method if method in _METHODS else "_OTHER", path if path in self._paths else "")
