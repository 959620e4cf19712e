"""Keeps a pool in shape in the background: enough sessions open, none silent, expired or idle for too long."""

import asyncio
import logging
from time import monotonic

from app.db.pool.pool import Pool
from app.db.pool.pooled_session import PooledSession

_log = logging.getLogger(__name__)
_AFTER_A_FAULT = 1.0


class Upkeep:
    """The background task of a pool. It acts at intervals, and whenever a session was lost."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._state = pool.state
        options = pool.options
        shortest = min(options.idle_timeout, options.max_lifetime, options.keepalive)
        self._interval = min(max(shortest / 4, 0.01), 1.0)

    async def run(self) -> None:
        """Look after the sessions until cancelled."""
        while True:
            self._state.changed.clear()
            try:
                await self.look()
                await self._until_due()
            except Exception:
                # Without its upkeep the pool would slowly lose its sessions, without a reason in the log.
                _log.exception("keeping the pool of %s in shape failed; it goes on", self._pool.connector)
                await asyncio.sleep(_AFTER_A_FAULT)

    async def look(self) -> None:
        """Do once what needs to be done."""
        self.close_silent()
        self.close_expired()
        self.refill()
        await self.test_silent()

    def close_silent(self) -> None:
        """Close sessions whose server has been silent for longer than it may: the network is dead.

        The task that waits for the answer gets DatabaseUnavailable.
        """
        now = monotonic()
        for pooled in list(self._state.sessions):
            seconds = pooled.session.seconds_overdue(now)
            if seconds is not None:
                pooled.session.explain_silence(seconds)
                pooled.died_in_use()
                self._pool.repair.evict(pooled, "silent")

    def close_expired(self) -> None:
        """Close idle sessions that are dead, past their lifetime, or idle for too long and not needed for min_size."""
        now, repair = monotonic(), self._pool.repair
        for pooled in list(self._state.idle):
            if pooled.session.is_closed():
                repair.evict(pooled, "dead")
            elif now > pooled.expires:
                repair.evict(pooled, pooled.expiry)
            elif pooled.idle_since < now - self._pool.options.idle_timeout and self._is_spare():
                repair.evict(pooled, "idle")

    def refill(self) -> None:
        """Open sessions up to min_size, and for the waiters. After a failed attempt, open only one, after a pause.

        Tasks that wait while there is no session at all do not wait for that pause.
        """
        connecting = self._pool.connecting
        if monotonic() < connecting.retry_at and not self._is_urgent():
            return
        kept = self._pool.options.min_size - len(self._state.sessions)
        missing = max(kept, len(self._state.queue.waiters)) - connecting.pending
        for _ in range(missing if connecting.last_error is None else min(missing, 1)):
            if not connecting.pace.allows(connecting.pending):
                return
            connecting.begin()

    async def test_silent(self) -> None:
        """Test idle sessions that are suspect, or whose server has not answered for the keep-alive time."""
        for pooled in list(self._state.idle):
            if pooled in self._state.idle and self._is_silent(pooled):
                # One after the other, so that other tasks find idle sessions meanwhile. Only waited for: a test goes on
                # when the upkeep is cancelled.
                await asyncio.wait([self._pool.repair.test(pooled)])

    async def _until_due(self) -> None:
        """Wait until something has changed, or until the next look is due."""
        # Not asyncio.timeout(): an exception on its way out would leave this task cancelled for good.
        timer = asyncio.get_running_loop().call_later(self._pause(), self._state.changed.set)
        try:
            await self._state.changed.wait()
        finally:
            timer.cancel()

    def _pause(self) -> float:
        """Return the seconds until the next look."""
        connecting = self._pool.connecting
        if self._state.queue.waiters and connecting.have_room() and (seconds := connecting.pace.seconds()):
            return min(seconds, self._interval)
        until_retry = connecting.retry_at - monotonic()
        return min(until_retry, self._interval) if until_retry > 0 else self._interval

    def _is_urgent(self) -> bool:
        return bool(self._state.queue.waiters) and not self._state.sessions

    def _is_spare(self) -> bool:
        return len(self._state.sessions) > self._pool.options.min_size

    def _is_silent(self, pooled: PooledSession) -> bool:
        return pooled.proven_at < monotonic() - self._pool.options.keepalive
