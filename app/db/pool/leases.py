"""Who holds which session, for monitoring."""

from dataclasses import dataclass
from time import monotonic

from app.db.counting.frames import shown_place
from app.db.pool.pooled_session import PooledSession
from app.db.pool.state import PoolState


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
    lent = sorted(state.sessions.difference(state.idle), key=lambda each: each.lent_at)
    now = monotonic()
    return [_report(pooled, now) for pooled in lent if not pooled.session.is_closed()]


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
