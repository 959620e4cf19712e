"""Opens the sessions of a pool: as fast as its pace allows, and one at a time while the server is away."""

import random
from collections import deque
from collections.abc import Callable
from time import monotonic

from app.db.errors import DatabaseUnavailable
from app.db.pool.background import BackgroundTasks
from app.db.pool.connector import Connector
from app.db.pool.pooled_session import PooledSession
from app.db.pool.state import PoolState
from app.db.session.affinity import Affinity
from app.db.session.session import Session

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0
# So that sessions opened together do not all end, and open again, together.
_LIFETIME_JITTER = 0.1
_NEVER = float("-inf")
# Doubling one never leads beyond it.
_MANY = 1 << 20


class Pace:
    """Allows attempts to connect: at most `rate` begin within any second.

    After a failure one at a time is allowed, and with each success twice as many, so that a server that comes back
    meets one client of this pool, not all.
    """

    def __init__(self, rate: int) -> None:
        self._begun: deque[float] = deque([_NEVER] * rate, maxlen=rate)
        self._together = _MANY

    def allows(self, pending: int) -> bool:
        """Return whether one more attempt may begin now, beside those that are `pending`."""
        return pending < self._together and not self.seconds()

    def begun(self) -> None:
        """Count an attempt that begins."""
        self._begun.append(monotonic())

    def succeeded(self) -> None:
        """Allow twice as many attempts at once."""
        self._together = min(2 * self._together, _MANY)

    def failed(self) -> None:
        """Allow one attempt at once."""
        self._together = 1

    def seconds(self) -> float:
        """Return the seconds until the rate allows the next attempt; 0 if it does now."""
        due = self._begun[0] + 1
        if self._together == 1:
            # Used up at once, the rate would leave nothing for the moment when the server is back.
            due = max(due, self._begun[-1] + 1 / len(self._begun))
        return max(0.0, due - monotonic())


class ConnectAttempts:
    """The attempts to open a session. `started` counts them since the pool was opened.

    After `last_error` the upkeep waits until the moment `retry_at` before the next attempt; a task that needs a session
    does not.
    """

    def __init__(
        self,
        state: PoolState,
        connector: Connector,
        affinity: Affinity,
        tasks: BackgroundTasks,
        give: Callable[[PooledSession], None],
    ) -> None:
        self.started = 0
        self.last_error: Exception | None = None
        self.retry_at = 0.0
        self.pace = Pace(state.options.connect_rate)
        self._state = state
        self._connector = connector
        self._affinity = affinity
        self._tasks = tasks
        self._give = give
        self._under_way: set[int] = set()
        self._retired = 0
        self._delay = _FIRST_DELAY

    @property
    def pending(self) -> int:
        """How many sessions are being opened now."""
        return len(self._under_way)

    def have_room(self) -> bool:
        """Return whether one more may be opened. While the server is unreachable, one attempt at a time is enough."""
        state, busy = self._state, self.last_error is not None and self.pending
        return not busy and not state.closing and len(state.sessions) + self.pending < state.options.max_size

    def begin(self) -> None:
        """Begin to open a session in the background, if there is room for one and the pace allows it.

        Otherwise the upkeep does so later, for waiters.
        """
        if not self.have_room():
            return
        if not self.pace.allows(self.pending):
            self._state.changed.set()
            return
        attempt = self.started + 1
        opening = self._tasks.start(self._open(attempt))
        self._begun(attempt)
        # A task that is cancelled before its first step never reaches the end of its code.
        opening.add_done_callback(lambda _: self._under_way.discard(attempt))

    async def open_now(self) -> None:
        """Open one more session, for the next waiter or to be idle. Raises DatabaseUnavailable when that fails."""
        attempt = self.started + 1
        self._begun(attempt)
        await self._connect(attempt)

    def retire(self) -> None:
        """Replace the sessions that are being opened now as soon as they are open."""
        self._retired = self.started

    async def _open(self, attempt: int) -> None:
        state = self._state
        try:
            await self._connect(attempt)
        except DatabaseUnavailable as error:
            state.changed.set()
            if state.sessions:
                # They will serve the waiters. The upkeep makes the next attempt, after a pause.
                return
            if attempt > self._retired:
                state.queue.fail(attempt, error)
        for _ in range(len(state.queue.waiters) - self.pending):
            self.begin()

    def _begun(self, attempt: int) -> None:
        self.started = attempt
        self.pace.begun()
        self._under_way.add(attempt)

    async def _connect(self, attempt: int) -> None:
        try:
            session = await self._connector.open(self._affinity)
        except DatabaseUnavailable as error:
            self._failed(error)
            raise
        finally:
            self._under_way.discard(attempt)
        lifetime = self._state.options.max_lifetime * (1 - random.random() * _LIFETIME_JITTER)  # noqa: S311 - no secret
        pooled = PooledSession(session, lifetime)
        try:
            self._arrived(attempt, pooled, session)
        except BaseException:
            self._state.discard(pooled, "fault")
            raise

    def _failed(self, error: DatabaseUnavailable) -> None:
        self.last_error = error
        self.pace.failed()
        self._state.counters.connect_failures += 1
        # Longer each time, and not in step with other processes that lost the same server.
        self.retry_at = monotonic() + self._delay * (0.5 + random.random() / 2)  # noqa: S311 - no secret
        self._delay = min(self._delay * 2, _LONGEST_DELAY)

    def _arrived(self, attempt: int, pooled: PooledSession, session: Session) -> None:
        state = self._state
        self.last_error = None
        self.pace.succeeded()
        self.retry_at, self._delay = 0.0, _FIRST_DELAY
        state.counters.connects += 1
        state.sessions.add(pooled)
        if attempt <= self._retired:
            pooled.expire("retired")
        session.add_termination_listener(lambda _: state.changed.set())
        self._give(pooled)
