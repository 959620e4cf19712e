"""What the page shows, computed once for all its readers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from app.monitor.charts import Chart, chart
from app.monitor.extension import NamedFigures
from app.monitor.formats import short, show_bytes, show_ms
from app.monitor.history import Sample
from app.monitor.merged import RouteRow, StatementRow, route_rows, statement_rows
from app.monitor.problems import Problem, problems
from app.monitor.server import ServerState
from app.monitor.sessions import SessionRow, session_rows
from app.monitor.snapshot import Snapshot

SORTS = ("name", "calls", "share", "p50", "p95", "p99", "rows", "errors")


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure of this moment: its name, its value, and what that is a part of."""

    name: str
    value: str
    of: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the statements, by which they can be sorted."""

    key: str
    title: str


COLUMNS = [
    Column("name", "Statement"), Column("calls", "Calls"), Column("share", "Share of time"), Column("p50", "p50"),
    Column("p95", "p95"), Column("p99", "p99"), Column("rows", "Rows"), Column("errors", "Errors"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class View:
    """The page at a moment. `problems` is empty when nothing is wrong; `many` is true with several workers."""

    problems: list[Problem]
    tiles: list[Tile]
    charts: list[Chart]
    statements: list[StatementRow]
    routes: list[RouteRow]
    sessions: list[SessionRow]
    server: ServerState
    many: bool
    last: Sample | None

    @property
    def extension(self) -> Mapping[str, NamedFigures] | None:
        """The figures of pg_stat_statements by name; None without the extension."""
        return self.server.details.statements


def view_of(snapshots: Sequence[Snapshot], server: ServerState, samples: Sequence[Sample]) -> View:
    """Return what these figures show."""
    sessions = session_rows(server.sessions, snapshots)
    last = samples[-1] if samples else None
    return View(
        problems=problems(snapshots, server, sessions, last),
        tiles=_tiles(snapshots, server, last),
        charts=_charts(samples),
        statements=statement_rows(snapshots),
        routes=route_rows(snapshots),
        sessions=sessions,
        server=server,
        many=len(snapshots) > 1,
        last=last,
    )


def by(statements: Sequence[StatementRow], key: str) -> list[StatementRow]:
    """Return the statements sorted by a column: names from A to Z, numbers from the highest."""
    return sorted(statements, key=attrgetter(key), reverse=key != "name")


def _tiles(snapshots: Sequence[Snapshot], server: ServerState, last: Sample | None) -> list[Tile]:
    pools = [each.pool for each in snapshots if each.pool]
    memory = sum(each.process.resident_bytes for each in snapshots)
    tiles = [
        Tile("Requests a second", short(last.rate if last else 0)),
        Tile("p99", show_ms(last.p99 if last else None)),
        Tile("Connections in use", str(sum(each.in_use for each in pools)), f"of {sum(p.max_size for p in pools)}"),
        Tile("Tasks that wait", str(sum(each.waiting for each in pools))),
        Tile("Processes", str(len(snapshots)), show_bytes(memory)),
        Tile("Event loop late by", show_ms(max(each.process.loop_delay_last for each in snapshots))),
    ]
    return [*tiles, *_server_tiles(server)]


def _server_tiles(server: ServerState) -> list[Tile]:
    database, process, machine = server.database, server.process, server.machine
    tiles = list[Tile]()
    if database is not None:
        reads = database.blocks_hit + database.blocks_read
        tiles += [
            Tile("Database", show_bytes(database.size_bytes)),
            Tile("Found in memory", f"{database.blocks_hit / reads:.1%}" if reads else "-"),
            Tile("Server connections", str(database.server_connections), f"of {database.max_connections}"),
            Tile("Deadlocks", f"{database.deadlocks:,}"),
        ]
    if process is not None:
        tiles.append(Tile("Memory of PostgreSQL", show_bytes(process.memory_bytes), f"{process.processes} processes"))
    if machine.load and machine.cpus:
        tiles.append(Tile("Load", f"{machine.load[0]:.1f}", f"of {machine.cpus} processors"))
    return tiles


def _charts(samples: Sequence[Sample]) -> list[Chart]:
    def milliseconds(name: str) -> list[float | None]:
        values = [getattr(each, name) for each in samples]
        return [None if value is None else value * 1000 for value in values]

    return [
        chart(
            "Requests a second", "/s", [("all", [s.rate for s in samples]), ("failing", [s.errors for s in samples])]
        ),
        chart("Time of a request", "ms", [(name, milliseconds(name)) for name in ("p50", "p95", "p99")]),
        chart(
            "Pool", "", [
                ("in use", [s.in_use for s in samples]), ("open", [s.open for s in samples]),
                ("waiting", [s.waiting for s in samples]),
            ],
        ),
    ]  # fmt: skip
