"""Measures requests: by route and status, with the statements that each of them ran."""

import re
from bisect import bisect_left
from collections.abc import Callable
from itertools import count
from secrets import token_hex
from time import monotonic

from starlette.types import Scope

from app.db import StatementFigures, Work

REQUEST_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds. A last bucket counts everything longer."""
# An answer that no client waited for. It is nginx's number, and no answer that was sent has it.
CLIENT_GONE = 499
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{1,64}")


class Outcome:
    """The requests of a route that ended with one status: runs by duration, and the sum of seconds."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.buckets = [0] * (len(REQUEST_BUCKETS) + 1)


class RouteFigures:
    """The counters of one route: its outcomes by status, and how often it ran each statement."""

    __slots__ = ("database_seconds", "handler", "method", "outcomes", "path", "statements", "wait_seconds")

    def __init__(self, method: str, path: str, handler: str = "") -> None:
        self.method = method
        self.path = path
        self.handler = handler
        self.outcomes: dict[int, Outcome] = {}
        self.statements: dict[StatementFigures, int] = {}
        self.database_seconds = 0.0
        self.wait_seconds = 0.0


class RequestWork(Work):
    """One request: its `id`, route, start (by time.monotonic()) and `status`, 0 until it is known."""

    __slots__ = ("began", "id", "route", "scope", "status")

    def __init__(self, route: RouteFigures, scope: Scope, request_id: str, most_alike: int) -> None:
        super().__init__(route.handler, most_alike)
        self.route = route
        self.scope = scope
        self.id = request_id
        self.status = 0
        self.began = monotonic()

    def server_timing(self) -> str:
        """Return the value of a Server-Timing header: milliseconds of all, of the database and of the pool's queue."""
        total, statements = monotonic() - self.began, self.statements
        return (
            f'app;dur={(total - self.database_seconds - self.wait_seconds) * 1000:.2f};desc="Application",'
            f' pool;dur={self.wait_seconds * 1000:.2f};desc="Wait for a connection",'
            f' db;dur={self.database_seconds * 1000:.2f};desc="Database, {statements} statements",'
            f' total;dur={total * 1000:.2f};desc="Total"'
        )


OnEnd = Callable[[RequestWork, float], None]
"""Called with each request that has ended and its duration in seconds."""
MakeWork = Callable[[RouteFigures, Scope, str, int], RequestWork]


class Watch:
    """Measures the requests of a service. What wants to know of each one is in `on_end`.

    `most_alike` is the number of runs of one statement in one request above which there is a warning; 0: never.
    `tells_timing`: answers have a Server-Timing header. `make` makes the object for a request.
    """

    def __init__(self, *, most_alike: int = 0, tells_timing: bool = False) -> None:
        self.routes: list[RouteFigures] = []
        self.active = 0
        self.on_end: list[OnEnd] = []
        self.make: MakeWork = RequestWork
        self.tells_timing = tells_timing
        self._most_alike = most_alike
        self._prefix = token_hex(4)
        self._numbers = count(1)
        self._others: dict[tuple[str, str], RouteFigures] = {}

    def add_route(self, method: str, path: str, handler: str = "") -> RouteFigures:
        """Return the counters of a new route."""
        route = RouteFigures(method, path, handler)
        self.routes.append(route)
        return route

    def other_route(self, method: str, path: str) -> RouteFigures:
        """Return the counters of a route that is no operation; "" for every path without a route."""
        found = self._others.get((method, path))
        if found is None:
            found = self._others[method, path] = self.add_route(method, path)
        return found

    def begin(self, route: RouteFigures, scope: Scope, given_id: bytes | None) -> RequestWork:
        """Return the work of a request that begins. It keeps the client's id if that is a sensible one."""
        if given_id is not None and _REQUEST_ID.fullmatch(given_id):
            request_id = given_id.decode()
        else:
            request_id = f"{self._prefix}{next(self._numbers):08x}"
        self.active += 1
        return self.make(route, scope, request_id, self._most_alike)

    def end(self, work: RequestWork) -> None:
        """Count a request that has ended."""
        self.active -= 1
        seconds = monotonic() - work.began
        route = work.route
        outcome = route.outcomes.get(work.status)
        if outcome is None:
            outcome = route.outcomes[work.status] = Outcome()
        outcome.seconds += seconds
        outcome.buckets[bisect_left(REQUEST_BUCKETS, seconds)] += 1
        if work.counts:
            route.database_seconds += work.database_seconds
            route.wait_seconds += work.wait_seconds
            ran = route.statements
            for figures, times in work.counts.items():
                ran[figures] = ran.get(figures, 0) + times
        for tell in self.on_end:
            tell(work, seconds)
