"""One timer for many moments: a timer of the event loop for each would cost more than most statements."""

import asyncio
from collections.abc import Callable
from contextvars import Context
from time import monotonic
from types import TracebackType
from typing import Any, Self

_NEVER = float("inf")
# uvloop counts in whole milliseconds: a timer that fires too early would have to be set again.
_TICK = 0.001
# The timer belongs to all tasks: it must not keep what belongs to the one that set it.
_CONTEXT = Context()


class Timer:
    """Calls `fire` at the earliest of the moments set, or a little later. `fire` returns the next moment or None.

    Moments are those of time.monotonic(), in seconds.
    """

    def __init__(self, fire: Callable[[], float | None]) -> None:
        self._fire = fire
        self._loop = asyncio.get_running_loop()
        # The moment is kept here, because uvloop returns a handle without one for a moment that is already due.
        self._moment = _NEVER
        self._handle: asyncio.Handle | None = None

    def set(self, moment: float) -> None:
        """Fire at this moment at the latest. An exception leaves the timer unchanged."""
        if moment < self._moment:
            # Not call_at(): the clock of a loop need not be time.monotonic().
            delay = max(0.0, moment - monotonic()) + _TICK
            handle = self._loop.call_later(delay, self._on_time, context=_CONTEXT)
            self.cancel()
            self._handle, self._moment = handle, moment

    def cancel(self) -> None:
        """Do not fire, unless set again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle, self._moment = None, _NEVER

    def _on_time(self) -> None:
        self._handle, self._moment = None, _NEVER
        following = self._fire()
        if following is not None:
            self.set(following)


class TimeLimits:
    """The blocks that must end at a certain moment."""

    def __init__(self) -> None:
        self.running: set[TimeLimit] = set()
        # For current_task(), which would otherwise make a system call to find it.
        self.loop = asyncio.get_running_loop()
        self.timer = Timer(self._expire)

    def until(self, ends: float) -> "TimeLimit":
        """Return a limit for one block."""
        return TimeLimit(self, ends)

    def _expire(self) -> float | None:
        now = monotonic()
        for limit in [limit for limit in self.running if limit.ends <= now]:
            limit.expire()
        return min((limit.ends for limit in self.running), default=None)


class TimeLimit:
    """`with` cancels the task in the block at the moment `ends`, and raises TimeoutError then, as asyncio.timeout().

    `expired` says whether that happened.
    """

    __slots__ = ("_cancelling", "_limits", "_task", "ends", "expired")

    def __init__(self, limits: TimeLimits, ends: float) -> None:
        self._limits = limits
        self.ends = ends
        self.expired = False

    def __enter__(self) -> Self:
        self._task: asyncio.Task[Any] = asyncio.current_task(self._limits.loop)  # pyright: ignore[reportAttributeAccessIssue] - only a task awaits
        self._cancelling = self._task.cancelling()
        self._limits.timer.set(self.ends)
        self._limits.running.add(self)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._limits.running.discard(self)
        # The task may have been cancelled by something else at the same time.
        if self.expired and self._task.uncancel() <= self._cancelling and exc_type is asyncio.CancelledError:
            raise TimeoutError from exc

    def expire(self) -> None:
        """Cancel the task, once."""
        self._limits.running.discard(self)
        self.expired = True
        self._task.cancel()
