"""What is wrong now, in plain words."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.monitor.history import Sample
from app.monitor.server import ServerState
from app.monitor.sessions import SessionRow
from app.monitor.snapshot import Snapshot

LONG_IDLE = 30.0  # seconds of an open transaction whose session is idle
LONG_BLOCK = 1.0  # seconds
LATE_LOOP = 0.1  # seconds
BEHIND_BYTES = 64 * 2**20
NEARLY_ALL = 0.9
FAILING_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem: its name in docs/monitoring.md, and a sentence that says what is wrong."""

    name: str
    text: str


def problems(
    snapshots: Sequence[Snapshot], server: ServerState, sessions: Sequence[SessionRow], last: Sample | None
) -> list[Problem]:
    """Return what is wrong now, the worst first."""
    return [
        *_server(server),
        *(problem for each in snapshots for problem in _pool(each)),
        *_sessions(sessions),
        *_requests(last),
        *(problem for each in snapshots for problem in _process(each)),
        *_capacity(server),
    ]


def _server(server: ServerState) -> Iterator[Problem]:
    if server.error:
        yield Problem(
            "server-gone", f"The database has not answered since {_time(server.failing_since)}: {server.error}"
        )
        return
    for each in server.replicas:
        if each.lag_bytes is not None and each.lag_bytes > BEHIND_BYTES:
            behind = each.lag_bytes / 2**20
            yield Problem("replica-behind", f"The standby {each.application_name} is {behind:,.0f} MiB behind.")
    database = server.database
    if database and database.in_recovery and (database.replay_lag_seconds or 0) > LONG_IDLE:
        yield Problem("replica-behind", f"This standby replays what is {database.replay_lag_seconds:,.0f} s old.")


def _pool(snapshot: Snapshot) -> Iterator[Problem]:
    pool = snapshot.pool
    if pool is None:
        return
    if pool.connect_error and not pool.size:
        yield Problem("no-connection", f"The pool has no connection: {pool.connect_error}")
    if pool.waiting and pool.in_use >= pool.max_size:
        yield Problem(
            "pool-exhausted",
            f"All {pool.max_size} connections are in use and {pool.waiting} tasks wait{_holders(snapshot)}.",
        )


def _holders(snapshot: Snapshot) -> str:
    held = Counter(each.place or each.running or "a single statement" for each in snapshot.leases)
    if not held:
        return ""
    place, count = held.most_common(1)[0]
    longest = max(each.seconds for each in snapshot.leases)
    return f"; {count} are held by {place}, the longest for {longest:.1f} s"


def _sessions(sessions: Sequence[SessionRow]) -> Iterator[Problem]:
    for row in sessions:
        session, who = row.session, _who(row)
        if row.blocks and any((each.session.query_seconds or 0) > LONG_BLOCK for each in sessions if each.depth):
            yield Problem("blocked", f"{who} blocks {row.blocks} sessions.")
        idle = session.state or ""
        if idle.startswith("idle in transaction") and (session.state_seconds or 0) > LONG_IDLE:
            yield Problem(
                "idle-transaction", f"{who} has an open transaction and does nothing for {session.state_seconds:.0f} s."
            )


def _who(row: SessionRow) -> str:
    held = f", held at {row.holder.place}" if row.holder and row.holder.place else ""
    return f"Session {row.session.pid} ({row.statement or row.session.application_name}{held})"


def _requests(last: Sample | None) -> Iterator[Problem]:
    if last and last.errors and last.errors > FAILING_SHARE * last.rate:
        yield Problem("failing-requests", f"{last.errors:.1f} requests a second fail, of {last.rate:.1f}.")


def _process(snapshot: Snapshot) -> Iterator[Problem]:
    late = snapshot.process.loop_delay_last
    if late > LATE_LOOP:
        yield Problem(
            "late-loop",
            f"The event loop of process {snapshot.process.pid} was {late * 1000:.0f} ms late: a handler computes or"
            " blocks, or the machine has too few processors.",
        )


def _capacity(server: ServerState) -> Iterator[Problem]:
    database = server.database
    if database and not server.error and database.server_connections > NEARLY_ALL * database.max_connections:
        yield Problem(
            "many-connections",
            f"{database.server_connections} of the server's {database.max_connections} connections are open.",
        )


def _time(moment: float | None) -> str:
    return datetime.fromtimestamp(moment or 0, UTC).strftime("%H:%M:%S UTC")
