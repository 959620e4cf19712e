"""Opens a pool's connections: as many at once as it has room for, and one at a time while the server is away."""

import random
from time import monotonic
from typing import TYPE_CHECKING

from app.db.errors import DatabaseUnavailable
from app.db.opener import Opener

if TYPE_CHECKING:
    from app.db.lease import Lease

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0


class Openings:
    """The connections on the way: `pending` are so many, and `attempts` were made so far.

    After `last_error` the next attempt is due at the moment `retry_at`, unless somebody needs a connection before.
    """

    def __init__(self, lease: "Lease", opener: Opener) -> None:
        self.pending = 0
        self.attempts = 0
        self.last_error: Exception | None = None
        self.retry_at = 0.0
        self._lease = lease
        self._opener = opener
        self._retired = 0
        self._delay = _FIRST_DELAY

    def have_room(self) -> bool:
        """Whether one more may be opened; while the server cannot be reached one attempt at a time is enough."""
        lease, busy = self._lease, self.last_error is not None and self.pending
        return not busy and not lease.closing and len(lease.connections) + self.pending < lease.options.max_size

    def begin(self) -> None:
        """Begin to open a connection, unless as many as allowed are open or on the way."""
        if self.have_room():
            self.pending += 1
            self.attempts += 1
            self._lease.in_background(self._open(self.attempts))

    async def open_now(self) -> None:
        """Open one more connection and lend it to whoever waits, or keep it idle; DatabaseUnavailable."""
        self.pending += 1
        self.attempts += 1
        await self._connect(self.attempts)

    def retire(self) -> None:
        """Replace those that are on the way once they have arrived."""
        self._retired = self.attempts

    async def _open(self, attempt: int) -> None:
        lease = self._lease
        try:
            await self._connect(attempt)
        except DatabaseUnavailable as error:
            lease.changed.set()
            if lease.connections:
                # They will serve whoever waits; the next attempt is the keeper's, after a pause.
                return
            if attempt > self._retired:
                lease.queue.fail(attempt, error)
        for _ in range(len(lease.queue.waiters) - self.pending):
            self.begin()

    async def _connect(self, attempt: int) -> None:
        lease = self._lease
        try:
            server = await self._opener.open()
        except DatabaseUnavailable as error:
            self.last_error = error
            lease.counters.connect_failures += 1
            # Longer each time, and never in step with the other processes that lost the same server.
            self.retry_at = monotonic() + self._delay * (0.5 + random.random() / 2)  # noqa: S311 - no secret
            self._delay = min(self._delay * 2, _LONGEST_DELAY)
            raise
        finally:
            self.pending -= 1
        self.last_error = None
        self.retry_at, self._delay = 0.0, _FIRST_DELAY
        lease.counters.connects += 1
        lease.connections.add(server)
        if attempt <= self._retired:
            server.expires, server.expiry = 0.0, "retired"
        server.add_termination_listener(lambda _: lease.changed.set())
        lease.give(server)
