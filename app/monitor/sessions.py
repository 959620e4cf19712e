"""The sessions of the database, each with its statement and its holder in Python, as a tree of who blocks whom."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.db import LeaseReport
from app.monitor.names import statement_name
from app.monitor.snapshot import Snapshot
from app.repositories.monitor import Session


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session. `depth` is how many others it waits for, one behind the other. `holder` is None in other programs."""

    session: Session
    statement: str
    holder: LeaseReport | None
    worker: int
    depth: int
    blocks: int


def session_rows(sessions: Sequence[Session], snapshots: Iterable[Snapshot]) -> list[SessionRow]:
    """Return a row for each session; those that wait stand below the one that they wait for."""
    holders = {lease.pid: (lease, each.worker) for each in snapshots for lease in each.leases}
    by_pid = {each.pid: each for each in sessions}
    waiting: dict[int, list[Session]] = {}
    for each in sessions:
        for blocker in each.blocked_by:
            waiting.setdefault(blocker, []).append(each)
    shown: set[int] = set()
    roots = [each for each in sessions if not any(blocker in by_pid for blocker in each.blocked_by)]
    roots.sort(key=lambda each: (each.pid not in waiting, each.state != "active", -(each.transaction_seconds or 0)))
    # The second time for circles, which PostgreSQL ends after a second as deadlocks.
    return [
        _row(each, holders, depth, len(waiting.get(each.pid, ())))
        for root in [*roots, *sessions]
        for each, depth in _tree(root, waiting, shown, 0)
    ]


def _tree(
    session: Session, waiting: Mapping[int, Sequence[Session]], shown: set[int], depth: int
) -> Iterator[tuple[Session, int]]:
    if session.pid in shown:
        return
    shown.add(session.pid)
    yield session, depth
    for each in waiting.get(session.pid, ()):
        yield from _tree(each, waiting, shown, depth + 1)


def _row(session: Session, holders: Mapping[int, tuple[LeaseReport, int]], depth: int, blocks: int) -> SessionRow:
    holder, worker = holders.get(session.pid, (None, 0))
    text = session.query or ""
    return SessionRow(session, statement_name(text) or _shortened(text), holder, worker, depth, blocks)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else f"{line[:79]}…"
