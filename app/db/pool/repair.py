"""Tests, resets and closes sessions that cannot be lent as they are."""

import asyncio
import logging
from bisect import insort
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

from app.db.pool.attempts import ConnectAttempts
from app.db.pool.background import BackgroundTasks
from app.db.pool.pooled_session import PooledSession
from app.db.pool.state import PoolState
from app.db.pool.switchover import Switchover

_log = logging.getLogger(__name__)


class Repair:
    """Decides what a returned session needs, and does it in the background."""

    def __init__(
        self,
        state: PoolState,
        connecting: ConnectAttempts,
        tasks: BackgroundTasks,
        give: Callable[[PooledSession], None],
        switchover: Switchover,
    ) -> None:
        self._state = state
        self._connecting = connecting
        self._tasks = tasks
        self._give = give
        self._switchover = switchover

    def repair(self, pooled: PooledSession) -> None:
        """Reset a session that was returned, or close it."""
        session = pooled.session
        if session.lost or session.is_closed():
            self.evict(pooled, "fatal" if session.lost else "dead")
            self._state.suspect_idle()
            return
        if self._state.closing:
            self.evict(pooled, "closing")
        elif monotonic() > pooled.expires:
            self.evict(pooled, pooled.expiry)
        elif session.beyond_reset:
            self.evict(pooled, "reset")
        else:
            pooled.take_aside()
            refused, session.refused_write = session.refused_write, False
            waits = refused and self._switchover.begin()
            self._work_on(pooled, self._place_and_reset(pooled) if waits else self._reset(pooled), "reset")

    def evict(self, pooled: PooledSession, reason: str) -> None:
        """Close a session at once and count the reason. A waiter gets another one."""
        self._state.discard(pooled, reason)
        if self._state.queue.waiters:
            self.find_one()

    def find_one(self) -> None:
        """For a new waiter, test the idle session that was used last, or open one."""
        state = self._state
        while state.idle and state.idle[-1].session.is_closed():
            state.discard(state.idle[-1], "dead")
        if state.idle:
            self.test(state.idle[-1])
        else:
            self._connecting.begin()

    def test(self, pooled: PooledSession) -> asyncio.Task[None]:
        """Take an idle session aside until its server has answered. Close it if that fails."""
        testing = self._work_on(pooled, self._test(pooled), "dead")
        self._state.idle.remove(pooled)
        pooled.take_aside()
        return testing

    async def _test(self, pooled: PooledSession) -> None:
        state = self._state
        try:
            async with asyncio.timeout(state.options.connect_timeout):
                await pooled.session.ping()
        except Exception:
            # Whatever the error is, the server did not answer.
            self.evict(pooled, "dead")
            return
        state.counters.pings += 1
        pooled.prove()
        if pooled.session.is_read_only_by_accident():
            await self._switchover.first_answer()
        if self._switchover.is_misplaced(pooled):
            pooled.expire("read only")
        elif pooled.session.is_unfit():
            self._switchover.begin()
        if state.closing or pooled.proven_at > pooled.expires:
            self.repair(pooled)
        elif not state.queue.serve(pooled):
            # Not on top: sessions that were used more recently stay above it.
            insort(state.idle, pooled, key=lambda each: each.idle_since)

    async def _place_and_reset(self, pooled: PooledSession) -> None:
        """Close a session that refused a write if another server takes writes. Otherwise reset it."""
        await self._switchover.first_answer()
        if self._switchover.is_misplaced(pooled):
            self.evict(pooled, "read only")
        else:
            await self._reset(pooled)

    async def _reset(self, pooled: PooledSession) -> None:
        """Restore the initial state of a session, or close it if that fails."""
        try:
            async with asyncio.timeout(self._state.options.connect_timeout):
                await pooled.session.restore()
        except Exception:
            # Whatever the error is, a session in an unknown state must not be lent.
            self.evict(pooled, "reset")
            return
        self._state.counters.resets += 1
        self._give(pooled)

    def _work_on(self, pooled: PooledSession, work: Coroutine[Any, Any, None], reason: str) -> asyncio.Task[None]:
        """Run `work` on a session in the background. Close the session, for this reason, if that fails."""

        def ended(task: asyncio.Task[None]) -> None:
            # A task that is cancelled before its first step does not run its own error handling.
            error = None if task.cancelled() else task.exception()
            if error is not None:
                _log.error("a connection of %s is closed after a fault", self._switchover.server, exc_info=error)
            if error is not None or task.cancelled():
                self._state.discard(pooled, reason)

        task = self._tasks.start(work)
        task.add_done_callback(ended)
        return task
