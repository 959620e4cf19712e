"""What a pool counts, and a snapshot of it for monitoring."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass

# Upper bounds in seconds. A last bucket counts all longer waits.
WAIT_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)


class Counters:
    """Plain integers that only the event loop's thread changes: no lock and no allocation when a session is lent."""

    __slots__ = (
        "acquires", "connect_failures", "connects", "evictions", "pings", "refusals", "resets", "retries", "timeouts",
        "wait_buckets", "wait_seconds", "waits",
    )  # fmt: skip

    def __init__(self) -> None:
        self.acquires = 0
        self.waits = 0
        self.wait_seconds = 0.0
        self.wait_buckets = [0] * (len(WAIT_BUCKETS) + 1)
        self.timeouts = 0
        self.refusals = 0
        self.connects = 0
        self.connect_failures = 0
        self.pings = 0
        self.resets = 0
        self.retries = 0
        self.evictions: Counter[str] = Counter()

    def waited(self, seconds: float) -> None:
        """Count one wait for a session, successful or not."""
        self.waits += 1
        self.wait_seconds += seconds
        self.wait_buckets[bisect_left(WAIT_BUCKETS, seconds)] += 1


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """The pool at one moment, and its counters since it was opened. Times are in seconds.

    `size` counts open connections, `in_use` those that are lent, tested or reset, `kept_back` those that are kept from
    the tasks that wait (docs/pool.md), `opening` those being opened.
    `wait_histogram` maps each upper bound, of which the last is infinite, to the number of waits up to it and above the
    previous bound. `evictions` counts closed connections by reason: dead, fatal, silent, read only, idle, lifetime,
    retired, reset, closing, and fault, which means a bug in this layer. `connect_error` says why the last attempt to
    open a connection failed, "" if it succeeded.
    """

    min_size: int
    max_size: int
    size: int
    in_use: int
    idle: int
    kept_back: int
    opening: int
    waiting: int
    acquires: int
    waits: int
    wait_seconds: float
    wait_histogram: dict[float, int]
    timeouts: int
    refusals: int
    connects: int
    connect_failures: int
    pings: int
    resets: int
    retries: int
    evictions: dict[str, int]
    connect_error: str
