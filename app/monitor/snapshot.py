"""What one process knows of itself at a moment, as plain data that other processes can read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import time

import msgspec

from app.board import Board
from app.db import Database, LeaseReport, PoolStatistics, StatementFigures
from app.http.refusals import REFUSALS
from app.http.watch import RouteFigures, Watch
from app.monitor.process import Process, ProcessFigures


@dataclass(frozen=True, slots=True)
class StatementSnapshot:
    """A statement: see StatementFigures. `last_error` is when (seconds since 1970), its kind and its message."""

    name: str
    buckets: list[int]
    seconds: float
    rows: int
    errors: dict[str, int]
    last_error: tuple[float, str, str] | None = None


@dataclass(frozen=True, slots=True)
class OutcomeSnapshot:
    """The requests of a route with one status."""

    status: int
    buckets: list[int]
    seconds: float


@dataclass(frozen=True, slots=True)
class RouteSnapshot:
    """A route: see RouteFigures. `statements` has how often it ran each, by name."""

    method: str
    path: str
    handler: str
    outcomes: list[OutcomeSnapshot]
    statements: dict[str, int]
    database_seconds: float
    wait_seconds: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One process. `worker` is its number, from 0; `taken_at` is in seconds since 1970.

    `pool` is None while the Database is not open.
    """

    worker: int
    taken_at: float
    process: ProcessFigures
    pool: PoolStatistics | None
    leases: list[LeaseReport]
    statements: list[StatementSnapshot]
    routes: list[RouteSnapshot]
    active_requests: int
    refusals: dict[str, int] = field(default_factory=dict[str, int])


class Snapshots:
    """Takes the snapshots of this process, and finds those of the other workers on the `board`."""

    def __init__(self, database: Database, watch: Watch, process: Process, board: Board | None = None) -> None:
        self._database = database
        self._watch = watch
        self._process = process
        self._board = board
        self._decode = msgspec.msgpack.Decoder(Snapshot).decode

    def take(self) -> Snapshot:
        """Return this process as it is now."""
        pool = self._database.statistics() if self._database.is_open else None
        return Snapshot(
            worker=self._board.number if self._board else 0,
            taken_at=time(),
            process=self._process.figures(),
            pool=pool,
            leases=self._database.leases() if pool else [],
            statements=[_statement(each) for each in self._database.figures.all()],
            routes=[_route(each) for each in self._watch.routes if each.outcomes],
            active_requests=self._watch.active,
            refusals=dict(REFUSALS.counts),
        )

    def publish(self) -> None:
        """Let the other workers read this process as it is now."""
        if self._board is not None:
            self._board.write(msgspec.msgpack.encode(self.take()))

    def all(self) -> list[Snapshot]:
        """Return this process as it is now, and the other workers as they were at most a second or two ago."""
        others = [self._decode(text) for text in self._board.read_others()] if self._board else []
        return sorted([self.take(), *others], key=lambda each: each.worker)


def _statement(figures: StatementFigures) -> StatementSnapshot:
    last = figures.last_error
    return StatementSnapshot(
        figures.name,
        list(figures.buckets),
        figures.seconds,
        figures.rows,
        dict(figures.errors),
        (last.at, last.kind, last.message) if last else None,
    )


def _route(route: RouteFigures) -> RouteSnapshot:
    outcomes = [OutcomeSnapshot(status, list(each.buckets), each.seconds) for status, each in route.outcomes.items()]
    statements = {figures.name: times for figures, times in route.statements.items()}
    return RouteSnapshot(
        route.method, route.path, route.handler, outcomes, statements, route.database_seconds, route.wait_seconds
    )


def added(rows: Sequence[Sequence[int]]) -> list[int]:
    """Return the sums of buckets, place by place."""
    return [sum(column) for column in zip(*rows, strict=True)]
