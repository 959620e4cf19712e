"""What PostgreSQL says of itself, asked at most every few seconds on a connection that is not the service's."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from time import monotonic, time

from app.db import BinderyError, Database
from app.monitor.extension import NamedFigures, list_statement_figures
from app.monitor.machine import MachineFigures, ServerFigures, machine_figures, server_figures
from app.repositories import monitor
from app.repositories.monitor import DatabaseFigures, Index, LockCount, Replica, Session, SessionState, Table

FRESH = 2.0  # seconds
DETAILS_FRESH = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Details:
    """What changes slowly: tables, indexes, and pg_stat_statements by name, None without that extension."""

    tables: list[Table] = field(default_factory=list[Table])
    indexes: list[Index] = field(default_factory=list[Index])
    statements: dict[str, NamedFigures] | None = None


@dataclass(frozen=True, slots=True)
class ServerState:
    """The server, as it answered last. `error` says why it did not answer now, `failing_since` (since 1970) since when.

    `process` is None if the server is on another machine.
    """

    error: str = ""
    failing_since: float | None = None
    database: DatabaseFigures | None = None
    states: list[SessionState] = field(default_factory=list[SessionState])
    sessions: list[Session] = field(default_factory=list[Session])
    locks: list[LockCount] = field(default_factory=list[LockCount])
    replicas: list[Replica] = field(default_factory=list[Replica])
    process: ServerFigures | None = None
    machine: MachineFigures = field(default_factory=machine_figures)
    details: Details = field(default_factory=Details)


class Server:
    """Asks the server through `database`, which has one connection and short limits, and remembers the answers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._state = ServerState()
        self._asked_at = self._details_at = float("-inf")
        self._lock = asyncio.Lock()

    async def state(self, *, detailed: bool = False) -> ServerState:
        """Return the state, at most FRESH seconds old, and with its details at most DETAILS_FRESH seconds old."""
        async with self._lock:
            if monotonic() - self._asked_at >= FRESH:
                await self._ask(self._figures())
                self._asked_at = monotonic()
            if detailed and not self._state.error and monotonic() - self._details_at >= DETAILS_FRESH:
                await self._ask(self._details())
                self._details_at = monotonic()
            return self._state

    async def close(self) -> None:
        """Close the connection."""
        if self._database.is_open:
            await self._database.close()

    async def _ask(self, answer: Awaitable[ServerState]) -> None:
        try:
            self._state = await answer
        except (BinderyError, OSError) as error:
            self._fail(str(error))
        except Exception as error:
            # An error of the server: this page is for the time when something is wrong.
            self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, reason: str) -> None:
        since = self._state.failing_since or time()
        self._state = replace(self._state, error=reason, failing_since=since, sessions=[], machine=machine_figures())

    async def _figures(self) -> ServerState:
        db = self._database
        if not db.is_open:
            await db.connect()
        backend = await monitor.get_backend(db)
        return replace(
            self._state,
            error="",
            failing_since=None,
            database=await monitor.get_database_figures(db),
            states=await monitor.list_session_states(db),
            sessions=await monitor.list_sessions(db),
            locks=await monitor.list_locks_by_mode(db),
            replicas=await monitor.list_replicas(db),
            # It reads files of every process, which takes 20 ms: no request may wait for that.
            process=await asyncio.to_thread(
                server_figures, backend.pid, backend.server_address, backend.server_started
            ),
            machine=machine_figures(),
        )

    async def _details(self) -> ServerState:
        db = self._database
        named = await list_statement_figures(db)
        details = Details(
            await monitor.list_tables(db),
            await monitor.list_indexes(db),
            None if named is None else {each.name: each for each in named},
        )
        return replace(self._state, details=details)
