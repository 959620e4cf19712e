"""The tasks that wait for a connection: first come, first served, each until its own deadline."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from app.db.alarm import Alarm
from app.db.errors import DatabaseUnavailable
from app.db.server_connection import ServerConnection


@dataclass(eq=False, slots=True)
class Waiter:
    """A task in the queue; `attempt` is the first attempt to connect that began after it came."""

    future: asyncio.Future[ServerConnection]
    deadline: float
    attempt: int


class WaitingQueue:
    """Futures in the order in which they came; `tasks` are those who wait. `time_out` makes the error of a deadline."""

    def __init__(self, time_out: Callable[[], Exception]) -> None:
        self.waiters: deque[Waiter] = deque()
        self.tasks: set[asyncio.Task[Any] | None] = set()
        self._time_out = time_out
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._look_at_deadlines)

    def join(self, task: asyncio.Task[Any] | None, deadline: float, attempt: int) -> Waiter:
        """This task as the last in the queue; `deadline` is a moment of time.monotonic().

        An exception leaves the queue as it was.
        """
        waiter = Waiter(self._loop.create_future(), deadline, attempt)
        self._alarm.set(deadline)
        self.tasks.add(task)
        self.waiters.append(waiter)
        return waiter

    def leave(self, waiter: Waiter) -> ServerConnection | None:
        """Wait no more; the connection, where one was lent at this very moment."""
        if waiter in self.waiters:
            self.waiters.remove(waiter)
        elif waiter.future.done() and not waiter.future.cancelled() and not waiter.future.exception():
            return waiter.future.result()
        return None

    def serve(self, server: ServerConnection) -> bool:
        """Give the connection to the first; False when nobody waits."""
        while self.waiters:
            future = self.waiters.popleft().future
            if not future.done():
                future.set_result(server)
                return True
        return False

    def fail(self, attempt: int, error: DatabaseUnavailable) -> None:
        """Tell whoever came before this attempt to connect that it failed, and why."""
        while self.waiters and self.waiters[0].attempt <= attempt:
            # Each gets an error of its own: one that several tasks raise collects the traces of all.
            again = DatabaseUnavailable(*error.args)
            again.__cause__ = error.__cause__
            _set_exception(self.waiters.popleft(), again)

    def close(self, reason: str, error: type[Exception]) -> None:
        """Send everybody away."""
        self._alarm.cancel()
        while self.waiters:
            _set_exception(self.waiters.popleft(), error(reason))

    def _look_at_deadlines(self) -> float | None:
        now = monotonic()
        for waiter in [waiter for waiter in self.waiters if waiter.deadline <= now]:
            # The message counts the waiters, this one among them.
            error = None if waiter.future.done() else self._time_out_or_why_not()
            self.waiters.remove(waiter)
            if error is not None:
                waiter.future.set_exception(error)
        return min((waiter.deadline for waiter in self.waiters), default=None)

    def _time_out_or_why_not(self) -> Exception:
        """The error of a deadline; a fault in making it must not leave the tasks waiting."""
        try:
            return self._time_out()
        except Exception as error:
            return error


def _set_exception(waiter: Waiter, error: Exception) -> None:
    if not waiter.future.done():
        waiter.future.set_exception(error)
