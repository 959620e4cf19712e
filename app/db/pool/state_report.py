"""Describes in words what the pool is doing: the second half of the message of every time-out."""

from time import monotonic

from app.db.counting.frames import shown_place
from app.db.pool.pooled_session import PooledSession
from app.db.pool.state import PoolState

_SHOWN_STATEMENT = 60


def describe_pool(state: PoolState, problem: str, last_error: Exception | None) -> str:
    """Return the problem, the pool's sizes, a line for each session in use, and the last error of connecting."""
    lent = state.sessions.difference(state.idle)
    now = monotonic()
    lines = [
        f"{problem}: {len(state.sessions)} of at most {state.options.max_size} connections are open,"
        f" {len(lent)} in use, {len(state.idle)} idle; {len(state.queue.waiters)} waiting",
        *(_describe(pooled, now) for pooled in sorted(lent, key=lambda each: each.lent_at)),
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
