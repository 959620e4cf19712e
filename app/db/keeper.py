"""Keeps the pool in shape in the background: enough connections open, none idle, old or dead for long."""

import asyncio
import logging
from time import monotonic

from app.db.lease import Lease
from app.db.server_connection import ServerConnection

_log = logging.getLogger(__name__)
_AFTER_A_FAULT = 1.0


class Keeper:
    """A task that looks after a lease's connections: at intervals, and whenever one was lost."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        options = lease.options
        shortest = min(options.idle_timeout, options.max_lifetime, options.keepalive)
        self._interval = min(max(shortest / 4, 0.01), 1.0)

    async def run(self) -> None:
        """Look after the connections until cancelled."""
        lease = self._lease
        while True:
            lease.changed.clear()
            try:
                await self.look()
                await self._until_due()
            except Exception:
                # A pool that nobody keeps would die slowly, and nobody would know why.
                _log.exception("keeping the pool of %s in shape failed; it goes on", lease.opener)
                await asyncio.sleep(_AFTER_A_FAULT)

    async def look(self) -> None:
        """Do once what needs to be done."""
        self.close_silent()
        self.close_expired()
        self.refill()
        await self.test_silent()

    def close_silent(self) -> None:
        """Close connections on which a server that is alive would have answered or given up: only a dead network waits.

        Whoever waits for the answer gets DatabaseUnavailable.
        """
        lease, now = self._lease, monotonic()
        for server in list(lease.connections):
            if server.patience is not None and now > server.sent_at + server.patience:
                server.silence = now - server.sent_at
                # It did not die while it was idle, and nobody has the patience to run the same again elsewhere.
                server.was_idle = False
                lease.evict(server, "silent")

    def close_expired(self) -> None:
        """Close idle connections that are dead, past their lifetime, or more than are kept and idle for too long."""
        lease, now = self._lease, monotonic()
        for server in list(lease.idle):
            if server.is_closed():
                lease.evict(server, "dead")
            elif now > server.expires:
                lease.evict(server, server.expiry)
            elif server.idle_since < now - lease.options.idle_timeout and self._is_spare():
                lease.evict(server, "idle")

    def refill(self) -> None:
        """Open what is missing: of the connections that are kept, and for whoever waits; after a failure, one later."""
        lease, openings = self._lease, self._lease.openings
        if monotonic() < openings.retry_at:
            return
        kept = lease.options.min_size - len(lease.connections)
        missing = max(kept, len(lease.queue.waiters)) - openings.pending
        for _ in range(missing if openings.last_error is None else min(missing, 1)):
            openings.begin()

    async def test_silent(self) -> None:
        """Make the server answer on connections that are suspect, or that were silent for the keep-alive time."""
        lease = self._lease
        for server in list(lease.idle):
            if server in lease.idle and self._is_silent(server):
                # One after the other: whoever comes meanwhile finds the others.
                # Only waited for: a test goes on when the keeper is cancelled.
                await asyncio.wait([lease.test(server)])

    async def _until_due(self) -> None:
        """Wait until something changed, or until the next look is due."""
        # Not asyncio.timeout(): what it forgets on its way out would cancel this task for good.
        timer = asyncio.get_running_loop().call_later(self._pause(), self._lease.changed.set)
        try:
            await self._lease.changed.wait()
        finally:
            timer.cancel()

    def _pause(self) -> float:
        """Seconds until the next look."""
        until_retry = self._lease.openings.retry_at - monotonic()
        return min(until_retry, self._interval) if until_retry > 0 else self._interval

    def _is_spare(self) -> bool:
        return len(self._lease.connections) > self._lease.options.min_size

    def _is_silent(self, server: ServerConnection) -> bool:
        return server.proven_at < monotonic() - self._lease.options.keepalive
