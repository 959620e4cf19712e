"""What PostgreSQL says of itself: figures of the database, sessions, locks, replicas, tables and indexes.

Any role may ask. What PostgreSQL hides from it, such as the sessions of other roles, is None. Ask outside a
transaction: inside one PostgreSQL may repeat the statistics that it read first.
"""

from dataclasses import dataclass
from datetime import datetime

from app.db import Executor, Queries
from app.repositories import SQL

queries = Queries(
    SQL / "monitor.sql",
    harmless={
        "array", "current_database", "current_setting", "has_database_privilege", "host", "inet_server_addr",
        "pg_backend_pid", "pg_blocking_pids", "pg_current_wal_lsn", "pg_database_size", "pg_indexes_size",
        "pg_is_in_recovery", "pg_last_wal_receive_lsn", "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp",
        "pg_postmaster_start_time", "pg_relation_size", "pg_table_size", "pg_wal_lsn_diff",
    },
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Backend:
    """The server process behind a session. `server_address` is None for a Unix socket."""

    pid: int
    server_address: str | None
    server_started: datetime


@dataclass(frozen=True, slots=True)
class DatabaseFigures:
    """The current database. Counters begin at the last reset of its statistics.

    `size_bytes` is None if the role may not connect any more. `sessions` counts all since the reset, `connections`
    those open now, `server_connections` those of all databases, which `max_connections` limits. Ages leave out the
    session that asks and are None without a transaction. `replay_lag_seconds` is None on a primary, and before the
    first replay.
    """

    size_bytes: int | None
    commits: int
    rollbacks: int
    blocks_hit: int
    blocks_read: int
    deadlocks: int
    temp_bytes: int
    conflicts: int
    sessions: int
    connections: int
    server_connections: int
    max_connections: int
    oldest_transaction_seconds: float | None
    oldest_idle_transaction_seconds: float | None
    waiting_locks: int
    server_started: datetime
    in_recovery: bool
    replay_lag_seconds: float | None
    version_number: int


@dataclass(frozen=True, slots=True)
class SessionState:
    """The number of sessions in a state, which is "unknown" for those that the role may not see."""

    state: str
    sessions: int


@dataclass(frozen=True, slots=True)
class Session:
    """A client of the current database; ages in seconds.

    `client_address` is None for a Unix socket. `transaction_seconds` is None outside a transaction, `query` before the
    first query. `blocked_by` holds the pids of the sessions that it waits for, 0 for a prepared transaction.
    """

    pid: int
    user_name: str | None
    application_name: str | None
    client_address: str | None
    state: str | None
    wait_event_type: str | None
    wait_event: str | None
    state_seconds: float | None
    transaction_seconds: float | None
    query_seconds: float | None
    connected_seconds: float | None
    query: str | None
    blocked_by: list[int]


@dataclass(frozen=True, slots=True)
class LockCount:
    """The number of locks of a mode that are held (`granted`) or waited for."""

    mode: str
    granted: bool
    locks: int


@dataclass(frozen=True, slots=True)
class Replica:
    """A standby of this server. The seconds are None when it has replayed everything and the server is idle."""

    application_name: str | None
    state: str | None
    sync_state: str | None
    replay_lag_seconds: float | None
    lag_bytes: int | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `table_bytes` has its TOAST in it. Sizes are None while it is locked exclusively.

    `vacuumed_seconds` and `analyzed_seconds` are ages, None when the statistics know of none.
    """

    schema: str
    name: str
    estimated_rows: int
    dead_rows: int
    table_bytes: int | None
    index_bytes: int | None
    total_bytes: int | None
    sequential_scans: int
    index_scans: int
    vacuumed_seconds: float | None
    analyzed_seconds: float | None


@dataclass(frozen=True, slots=True)
class Index:
    """An index. `unused`: no scan since the last reset, and it enforces nothing. `bytes` is None while it is locked."""

    schema: str
    table: str
    name: str
    bytes: int | None
    scans: int
    is_unique: bool
    is_primary: bool
    is_valid: bool
    unused: bool


@queries.bind
async def get_backend(db: Executor) -> Backend:
    """Return the server process behind the session that this runs in."""
    ...


@queries.bind
async def get_database_figures(db: Executor) -> DatabaseFigures:
    """Return the figures of the current database."""
    ...


@queries.bind
async def list_session_states(db: Executor) -> list[SessionState]:
    """Return each state and its number of sessions, without the session that asks."""
    ...


@queries.bind
async def list_sessions(db: Executor) -> list[Session]:
    """Return at most 200 sessions, the newest activity first, without the session that asks."""
    ...


@queries.bind
async def list_locks_by_mode(db: Executor) -> list[LockCount]:
    """Return the locks of the current database and its sessions, without the session that asks."""
    ...


@queries.bind
async def list_replicas(db: Executor) -> list[Replica]:
    """Return the standbys that are connected to this server. A role that may not see them gets their number only."""
    ...


@queries.bind
async def list_tables(db: Executor) -> list[Table]:
    """Return the 100 largest tables, locked ones first."""
    ...


@queries.bind
async def list_indexes(db: Executor) -> list[Index]:
    """Return the 200 largest indexes, locked ones first."""
    ...
