"""The state of a pool: its sessions, the tasks that wait for one, and the counters."""

import asyncio
from collections.abc import Callable

from app.db.pool.counters import Counters
from app.db.pool.options import PoolOptions
from app.db.pool.pooled_session import PooledSession
from app.db.pool.queue import WaitingQueue


class PoolState:
    """All sessions of the pool, and those of them that are idle: a stack, so that the same few stay in use.

    `changed` is set whenever a session was closed or the upkeep has something to do.
    """

    def __init__(self, options: PoolOptions, time_out: Callable[[], Exception]) -> None:
        self.options = options
        self.counters = Counters()
        self.sessions: set[PooledSession] = set()
        self.idle: list[PooledSession] = []
        self.queue = WaitingQueue(time_out)
        self.changed = asyncio.Event()
        self.closing = False

    def in_use(self) -> int:
        """Return how many sessions are lent, tested or reset."""
        return len(self.sessions) - len(self.idle)

    def discard(self, pooled: PooledSession, reason: str) -> None:
        """Close a session at once and count the reason. The upkeep replaces it."""
        # The pool forgets it first: its place is free even if closing it fails.
        if pooled in self.sessions:
            self.sessions.remove(pooled)
            self.counters.evictions[reason] += 1
        if pooled in self.idle:
            self.idle.remove(pooled)
        self.changed.set()
        pooled.session.terminate()

    def suspect_idle(self) -> None:
        """Have all idle sessions tested before their next lease: one session died, and they may have, too."""
        for pooled in self.idle:
            pooled.suspect()
        self.changed.set()
