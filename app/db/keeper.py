"""Keeps the pool in shape in the background: enough connections open, none idle, old or dead for long."""

import asyncio
import random
from time import monotonic

from app.db.lease import SUSPECT, Lease
from app.db.server_connection import ServerConnection

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0


class Keeper:
    """A task that looks after a lease's connections: at intervals, and whenever one was lost."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        options = lease.options
        shortest = min(options.idle_timeout, options.max_lifetime, options.keepalive)
        self._interval = min(max(shortest / 4, 0.01), 1.0)
        self._delay = _FIRST_DELAY

    async def run(self) -> None:
        """Look after the connections until cancelled."""
        lease = self._lease
        while True:
            lease.changed.clear()
            self.close_expired()
            await self.test_idle()
            self.refill()
            try:
                async with asyncio.timeout(self._pause()):
                    await lease.changed.wait()
            except TimeoutError:
                continue

    def close_expired(self) -> None:
        """Close idle connections that are dead, past their lifetime, or more than are kept and idle for too long."""
        lease, now = self._lease, monotonic()
        for server in list(lease.idle):
            if server.is_closed():
                lease.evict(server, "dead")
            elif now > server.expires:
                lease.evict(server, server.expiry)
            elif SUSPECT < server.idle_since < now - lease.options.idle_timeout and self._is_spare():
                lease.evict(server, "idle")

    async def test_idle(self) -> None:
        """Make the server answer on connections that are suspect, or that were silent for the keep-alive time."""
        lease = self._lease
        for server in list(lease.idle):
            if server in lease.idle and self._is_silent(server):
                lease.idle.remove(server)
                server.lent_at = monotonic()
                idle_since = server.idle_since
                if await lease.alive(server, lease.options.connect_timeout):
                    server.tested_at = monotonic()
                    server.idle_since = max(idle_since, server.lent_at) if idle_since == SUSPECT else idle_since
                    lease.hand_on(server)

    def refill(self) -> None:
        """Open what is missing of the connections that are kept; after a failure, one at a time."""
        lease = self._lease
        missing = lease.options.min_size - len(lease.connections) - lease.opening
        for _ in range(missing if lease.last_error is None else min(missing, 1)):
            lease.open_one()

    def _pause(self) -> float:
        """Seconds until the next look; after failures to connect longer each time, and never in step with others."""
        if self._lease.last_error is None:
            self._delay = _FIRST_DELAY
            return self._interval
        self._delay = min(self._delay * 2, _LONGEST_DELAY)
        return self._delay * (0.5 + random.random() / 2)  # noqa: S311 - no secret

    def _is_spare(self) -> bool:
        return len(self._lease.connections) > self._lease.options.min_size

    def _is_silent(self, server: ServerConnection) -> bool:
        last = max(server.idle_since, server.tested_at)
        return server.idle_since == SUSPECT or last < monotonic() - self._lease.options.keepalive
