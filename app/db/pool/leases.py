"""Who holds which session: for monitoring, and in words for the message of every time-out."""

from dataclasses import dataclass
from time import monotonic

from app.db.counting.frames import shown_place
from app.db.pool.pooled_session import PooledSession
from app.db.pool.state import PoolState

_SHOWN_STATEMENT = 60


@dataclass(frozen=True, slots=True)
class LeaseReport:
    """A session in use: the `pid` of its server process, the holder, and for how many `seconds`.

    `task` is None while the session is tested or reset. `place` is file and line of an acquire() or transaction(), ""
    for a single statement. `running` is the statement that ran last in this lease, "" before the first.
    """

    pid: int
    task: str | None
    place: str
    seconds: float
    running: str
    in_transaction: bool


def reports(state: PoolState) -> list[LeaseReport]:
    """Return the sessions in use, the longest lease first."""
    now = monotonic()
    return [_report(pooled, now) for pooled in state.lent() if not pooled.session.is_closed()]


def _report(pooled: PooledSession, now: float) -> LeaseReport:
    session = pooled.session
    # What ran before this lease is not the holder's.
    is_own = session.running is not None and session.started_at >= pooled.lent_at
    return LeaseReport(
        pid=session.get_server_pid(),
        task=pooled.holder.get_name() if pooled.holder else None,
        place=shown_place(pooled.place) if pooled.place else "",
        seconds=now - pooled.lent_at,
        running=session.running or "" if is_own else "",
        in_transaction=session.is_in_transaction(),
    )


def describe_pool(state: PoolState, problem: str, last_error: Exception | None) -> str:
    """Return the problem, the pool's sizes, a line for each session in use, and the last error of connecting."""
    lent = state.lent()
    now = monotonic()
    lines = [
        f"{problem}: {len(state.sessions)} of at most {state.options.max_size} connections are open,"
        f" {len(lent)} in use, {len(state.idle) + len(state.kept_back)} idle; {len(state.queue.waiters)} waiting",
        *(_describe(pooled, now) for pooled in lent),
    ]
    if last_error is not None:
        lines.append(f"the last attempt to connect failed: {last_error}")
    return "\n  ".join(lines)


def _describe(pooled: PooledSession, now: float) -> str:
    session = pooled.session
    if pooled.holder is None:
        return f"one is being opened, reset or tested, for {now - pooled.lent_at:.1f} s"
    parts = [f"task {pooled.holder.get_name()!r} for {now - pooled.lent_at:.1f} s"]
    if not session.is_closed() and session.is_in_transaction():
        parts.append("in a transaction")
    # What ran before this lease is not the holder's.
    if session.running is not None and session.started_at >= pooled.lent_at:
        parts.append(f"last ran {_shortened(session.running)}")
    if pooled.place is not None:
        parts.append(f"acquired at {shown_place(pooled.place)}")
    return ", ".join(parts)


def _shortened(statement: str) -> str:
    text = " ".join(statement.split())
    return text if len(text) <= _SHOWN_STATEMENT else text[: _SHOWN_STATEMENT - 1] + "…"
