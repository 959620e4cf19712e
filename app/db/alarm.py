"""One timer for many moments: a timer of the event loop for each costs more than most of what it would watch."""

import asyncio
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Self


class Alarm:
    """Calls `ring` at the earliest moment asked for, or later; `ring` returns the next such moment, or None.

    Moments are those of time.monotonic(), in seconds.
    """

    def __init__(self, ring: Callable[[], float | None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, moment: float) -> None:
        """Ring at this moment at the latest."""
        if self._timer is None or moment < self._timer.when():
            self.cancel()
            self._timer = self._loop.call_at(moment, self._on_time)

    def cancel(self) -> None:
        """Ring no more, unless set again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        self._timer = None
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
        self._limits.running.add(self)
        self._limits.alarm.set(self.ends)
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
