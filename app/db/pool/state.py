"""The state of a pool: its sessions, the tasks that wait for one, and the counters."""

import asyncio
from collections.abc import Callable

from app.db.pool.options import PoolOptions
from app.db.pool.pooled_session import PooledSession
from app.db.pool.queue import WaitingQueue
from app.db.pool.statistics import WAIT_BUCKETS, Counters, PoolStatistics


class PoolState:
    """All sessions of the pool, and those of them that are idle: a stack, so that the same few stay in use.

    `kept_back` are those that nobody gets while tasks wait (see Crowding).
    `changed` is set whenever a session was closed or the upkeep has something to do.
    """

    def __init__(self, options: PoolOptions, time_out: Callable[[], Exception]) -> None:
        self.options = options
        self.counters = Counters()
        self.sessions: set[PooledSession] = set()
        self.idle: list[PooledSession] = []
        self.kept_back: list[PooledSession] = []
        self.queue = WaitingQueue(time_out)
        self.changed = asyncio.Event()
        self.closing = False

    def in_use(self) -> int:
        """Return how many sessions are lent, tested or reset."""
        return len(self.sessions) - len(self.idle) - len(self.kept_back)

    def lent(self) -> list[PooledSession]:
        """Return the sessions that are lent, tested or reset, the longest lease first."""
        return sorted(self.sessions.difference(self.idle, self.kept_back), key=lambda each: each.lent_at)

    def discard(self, pooled: PooledSession, reason: str) -> None:
        """Close a session at once and count the reason. The upkeep replaces it."""
        # The pool forgets it first: its place is free even if closing it fails.
        if pooled in self.sessions:
            self.sessions.remove(pooled)
            self.counters.evictions[reason] += 1
        for unused in (self.idle, self.kept_back):
            if pooled in unused:
                unused.remove(pooled)
        self.changed.set()
        pooled.session.terminate()

    def suspect_idle(self) -> None:
        """Have all idle sessions tested before their next lease: one session died, and they may have, too."""
        for pooled in (*self.idle, *self.kept_back):
            pooled.suspect()
        self.changed.set()

    def statistics(self, *, opening: int, connect_error: str) -> PoolStatistics:
        """Return the sizes of the pool now, and its counters."""
        counters = self.counters
        return PoolStatistics(
            min_size=self.options.min_size,
            max_size=self.options.max_size,
            size=len(self.sessions),
            in_use=self.in_use(),
            idle=len(self.idle),
            kept_back=len(self.kept_back),
            opening=opening,
            waiting=len(self.queue.waiters),
            acquires=counters.acquires,
            waits=counters.waits,
            wait_seconds=counters.wait_seconds,
            wait_histogram=dict(zip((*WAIT_BUCKETS, float("inf")), counters.wait_buckets, strict=True)),
            timeouts=counters.timeouts,
            refusals=counters.refusals,
            connects=counters.connects,
            connect_failures=counters.connect_failures,
            pings=counters.pings,
            resets=counters.resets,
            retries=counters.retries,
            evictions=dict(counters.evictions),
            connect_error=connect_error,
        )
