"""One timer for many moments: a timer of the event loop for each costs more than most of what it would watch."""

import asyncio
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Self

_NEVER = float("inf")
# uvloop counts in whole milliseconds: a timer that rings too early would have to be set again.
_TICK = 0.001


class Alarm:
    """Calls `ring` at the earliest moment asked for, or later; `ring` returns the next such moment, or None.

    Moments are those of time.monotonic(), in seconds.
    """

    def __init__(self, ring: Callable[[], float | None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        # The moment is kept here: a due timer of uvloop's is a plain handle, which does not know its own.
        self._moment = _NEVER
        self._timer: asyncio.Handle | None = None

    def set(self, moment: float) -> None:
        """Ring at this moment at the latest. An exception leaves the alarm as it was."""
        if moment < self._moment:
            # Not call_at(): the clock of a loop need not be time.monotonic().
            timer = self._loop.call_later(max(0.0, moment - monotonic()) + _TICK, self._on_time)
            self.cancel()
            self._timer, self._moment = timer, moment

    def cancel(self) -> None:
        """Ring no more, unless set again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._moment = None, _NEVER

    def _on_time(self) -> None:
        self._timer, self._moment = None, _NEVER
        following = self._ring()
        if following is not None:
            self.set(following)


class TimeLimits:
    """The blocks that have to end at a moment of their own."""

    def __init__(self) -> None:
        self.running: set[TimeLimit] = set()
        # For current_task(), which would ask the system for the number of this process to find it.
        self.loop = asyncio.get_running_loop()
        self.alarm = Alarm(self._expire)

    def until(self, ends: float) -> "TimeLimit":
        """A limit for one block."""
        return TimeLimit(self, ends)

    def _expire(self) -> float | None:
        now = monotonic()
        for limit in [limit for limit in self.running if limit.ends <= now]:
            limit.expire()
        return min((limit.ends for limit in self.running), default=None)


class TimeLimit:
    """`with` cancels the task in the block at the moment `ends` and makes a TimeoutError of that.

    The rules are those of asyncio.timeout(). `expired` says whether it happened.
    """

    __slots__ = ("_cancelling", "_limits", "_task", "ends", "expired")

    def __init__(self, limits: TimeLimits, ends: float) -> None:
        self._limits = limits
        self.ends = ends
        self.expired = False

    def __enter__(self) -> Self:
        self._task: asyncio.Task[Any] = asyncio.current_task(self._limits.loop)  # pyright: ignore[reportAttributeAccessIssue] - only a task awaits
        self._cancelling = self._task.cancelling()
        self._limits.alarm.set(self.ends)
        self._limits.running.add(self)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._limits.running.discard(self)
        # Whoever else cancels the task meanwhile is not to be mistaken for this limit.
        if self.expired and self._task.uncancel() <= self._cancelling and exc_type is asyncio.CancelledError:
            raise TimeoutError from exc

    def expire(self) -> None:
        """Cancel the task, once."""
        self._limits.running.discard(self)
        self.expired = True
        self._task.cancel()
