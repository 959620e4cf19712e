"""The tasks that wait for a session: first come, first served, each until its own deadline."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from app.db.errors import DatabaseUnavailable
from app.db.pool.pooled_session import PooledSession
from app.db.pool.timer import Timer


@dataclass(eq=False, slots=True)
class Waiter:
    """A task in the queue. `attempt` is the number of the first attempt to connect that began after it came."""

    future: asyncio.Future[PooledSession]
    deadline: float
    attempt: int


class WaitingQueue:
    """The waiters in the order in which they came, and their `tasks`. `time_out` makes the error for a deadline."""

    def __init__(self, time_out: Callable[[], Exception]) -> None:
        self.waiters: deque[Waiter] = deque()
        self.tasks: set[asyncio.Task[Any] | None] = set()
        self._time_out = time_out
        self._interval = 0.0
        self._served_at = 0.0
        self._waited_behind = False
        self._loop = asyncio.get_running_loop()
        self._timer = Timer(self._look_at_deadlines)

    def join(self, task: asyncio.Task[Any] | None, deadline: float, attempt: int) -> Waiter:
        """Add a task at the end of the queue. `deadline` is a moment of time.monotonic().

        An exception leaves the queue unchanged.
        """
        waiter = Waiter(self._loop.create_future(), deadline, attempt)
        self._timer.set(deadline)
        self.tasks.add(task)
        self.waiters.append(waiter)
        return waiter

    def leave(self, waiter: Waiter) -> PooledSession | None:
        """Remove a waiter. Return its session if it was served at this very moment."""
        if waiter in self.waiters:
            self.waiters.remove(waiter)
        elif waiter.future.done() and not waiter.future.cancelled() and not waiter.future.exception():
            return waiter.future.result()
        return None

    def serve(self, pooled: PooledSession) -> bool:
        """Give the session to the first waiter. Return False if there is none."""
        while self.waiters:
            future = self.waiters.popleft().future
            if not future.done():
                future.set_result(pooled)
                self._measure()
                return True
        return False

    def expected_wait(self) -> float:
        """Return the seconds that one more waiter would wait, as fast as the last ones were served; 0 if not known."""
        return len(self.waiters) * self._interval

    def _measure(self) -> None:
        """Note how long the next waiter waited behind the last one: the mean of about the last twenty."""
        now = monotonic()
        if self._waited_behind:
            self._interval += (now - self._served_at - self._interval) / 20
        self._served_at = now
        self._waited_behind = bool(self.waiters)

    def fail(self, attempt: int, error: DatabaseUnavailable) -> None:
        """Raise the error in all waiters that came before this attempt to connect."""
        while self.waiters and self.waiters[0].attempt <= attempt:
            # Each gets its own error: one that several tasks raise would collect the tracebacks of all.
            again = DatabaseUnavailable(*error.args)
            again.__cause__ = error.__cause__
            _set_exception(self.waiters.popleft(), again)

    def close(self, reason: str, error: type[Exception]) -> None:
        """Raise an error of this class in all waiters."""
        self._timer.cancel()
        while self.waiters:
            _set_exception(self.waiters.popleft(), error(reason))

    def _look_at_deadlines(self) -> float | None:
        now = monotonic()
        for waiter in [waiter for waiter in self.waiters if waiter.deadline <= now]:
            # The message counts the waiters, including this one.
            error = None if waiter.future.done() else self._time_out_or_why_not()
            self.waiters.remove(waiter)
            if error is not None:
                waiter.future.set_exception(error)
        return min((waiter.deadline for waiter in self.waiters), default=None)

    def _time_out_or_why_not(self) -> Exception:
        """Return the error for a deadline. A fault in making it must not leave the tasks waiting."""
        try:
            return self._time_out()
        except Exception as error:
            return error


def _set_exception(waiter: Waiter, error: Exception) -> None:
    if not waiter.future.done():
        waiter.future.set_exception(error)
