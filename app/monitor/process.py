"""This process: its event loop's delay, its garbage collections, its processor time and memory."""

import asyncio
import gc
import os
from bisect import bisect_left
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import psutil

DELAY_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Upper bounds in seconds. A last bucket counts everything longer."""
EVERY = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """A process: times in seconds, memory in bytes; `started_at` since 1970.

    `loop_delays` are DELAY_BUCKETS: how late the event loop was with a timer, tested five times a second.
    `collections` and `collection_seconds` are those of the garbage collector, by generation.
    """

    pid: int
    started_at: float
    cpu_seconds: float
    resident_bytes: int
    loop_delays: list[int]
    loop_delay_seconds: float
    loop_delay_last: float
    collections: list[int]
    collection_seconds: list[float]


class Process:
    """Measures this process while `measuring()`."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._delays = [0] * (len(DELAY_BUCKETS) + 1)
        self._delay_seconds = 0.0
        self._delay_last = 0.0
        self._collections = [0, 0, 0]
        self._collection_seconds = [0.0, 0.0, 0.0]
        self._collecting_since = 0.0

    @contextmanager
    def measuring(self) -> Generator[None]:
        """Measure the running event loop and the garbage collector for the block."""
        loop = asyncio.get_running_loop()
        handle: asyncio.TimerHandle | None = None

        def look(due: float) -> None:
            nonlocal handle
            now = loop.time()
            self._late_by(max(0.0, now - due))
            handle = loop.call_later(EVERY, look, now + EVERY)

        look(loop.time())
        gc.callbacks.append(self._collecting)
        try:
            yield
        finally:
            gc.callbacks.remove(self._collecting)
            if handle is not None:
                handle.cancel()

    def figures(self) -> ProcessFigures:
        """Return the figures now."""
        with self._process.oneshot():
            times, memory = self._process.cpu_times(), self._process.memory_info()
            return ProcessFigures(
                pid=os.getpid(),
                started_at=self._process.create_time(),
                cpu_seconds=times.user + times.system,
                resident_bytes=memory.rss,
                loop_delays=list(self._delays),
                loop_delay_seconds=self._delay_seconds,
                loop_delay_last=self._delay_last,
                collections=list(self._collections),
                collection_seconds=list(self._collection_seconds),
            )

    def _late_by(self, seconds: float) -> None:
        self._delay_last = seconds
        self._delay_seconds += seconds
        self._delays[bisect_left(DELAY_BUCKETS, seconds)] += 1

    def _collecting(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._collecting_since = perf_counter()
            return
        generation: int = info["generation"]
        self._collections[generation] += 1
        self._collection_seconds[generation] += perf_counter() - self._collecting_since
