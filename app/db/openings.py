"""Opens a pool's connections: as many at once as it has room for, and one at a time while the server is away."""

import random
from time import monotonic
from typing import TYPE_CHECKING

from app.db.errors import DatabaseUnavailable
from app.db.opener import Opener
from app.db.server_connection import ServerConnection

if TYPE_CHECKING:
    from app.db.lease import Lease

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0


class Openings:
    """The connections on the way: `pending` are so many, and `attempts` were made so far.

    After `last_error` the next attempt is due at the moment `retry_at`, unless somebody needs a connection before.
    """

    def __init__(self, lease: "Lease", opener: Opener) -> None:
        self.attempts = 0
        self.last_error: Exception | None = None
        self.retry_at = 0.0
        self._lease = lease
        self._opener = opener
        self._on_the_way: set[int] = set()
        self._retired = 0
        self._delay = _FIRST_DELAY

    @property
    def pending(self) -> int:
        """How many connections are being opened."""
        return len(self._on_the_way)

    def have_room(self) -> bool:
        """Whether one more may be opened; while the server cannot be reached one attempt at a time is enough."""
        lease, busy = self._lease, self.last_error is not None and self.pending
        return not busy and not lease.closing and len(lease.connections) + self.pending < lease.options.max_size

    def begin(self) -> None:
        """Begin to open a connection, unless as many as allowed are open or on the way."""
        if self.have_room():
            attempt = self.attempts + 1
            opening = self._lease.in_background(self._open(attempt))
            self._begun(attempt)
            # A task that is cancelled before its first step never comes to the end of its code.
            opening.add_done_callback(lambda _: self._on_the_way.discard(attempt))

    async def open_now(self) -> None:
        """Open one more connection and lend it to whoever waits, or keep it idle; DatabaseUnavailable."""
        attempt = self.attempts + 1
        self._begun(attempt)
        await self._connect(attempt)

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

    def _begun(self, attempt: int) -> None:
        self.attempts = attempt
        self._on_the_way.add(attempt)

    async def _connect(self, attempt: int) -> None:
        try:
            server = await self._opener.open()
        except DatabaseUnavailable as error:
            self._failed(error)
            raise
        finally:
            self._on_the_way.discard(attempt)
        try:
            self._arrived(attempt, server)
        except BaseException:
            self._lease.discard(server, "fault")
            raise

    def _failed(self, error: DatabaseUnavailable) -> None:
        self.last_error = error
        self._lease.counters.connect_failures += 1
        # Longer each time, and never in step with the other processes that lost the same server.
        self.retry_at = monotonic() + self._delay * (0.5 + random.random() / 2)  # noqa: S311 - no secret
        self._delay = min(self._delay * 2, _LONGEST_DELAY)

    def _arrived(self, attempt: int, server: ServerConnection) -> None:
        lease = self._lease
        self.last_error = None
        self.retry_at, self._delay = 0.0, _FIRST_DELAY
        lease.counters.connects += 1
        server.home = lease.home
        lease.connections.add(server)
        if attempt <= self._retired:
            server.expires, server.expiry = 0.0, "retired"
        server.add_termination_listener(lambda _: lease.changed.set())
        lease.give(server)
