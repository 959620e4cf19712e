"""What the pool counts, and a snapshot of it for whoever monitors."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.db.lease import Lease

# Upper bounds in seconds; a wait longer than the last one is counted in a bucket of its own.
WAIT_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)


class Counters:
    """Plain integers that only the event loop's thread changes: no lock, no allocation where connections are lent."""

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
        """Count one wait for a connection, however it ended."""
        self.waits += 1
        self.wait_seconds += seconds
        self.wait_buckets[bisect_left(WAIT_BUCKETS, seconds)] += 1


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """The pool at one moment, and what it has done since it was opened; times are in seconds.

    `size` counts open connections, `in_use` those that are lent, being reset or tested, `opening` those on the way.
    `wait_histogram` maps each upper bound, the last of which is infinite, to the number of waits up to it and over the
    bound before. `evictions` counts closed connections by reason: dead, fatal, silent, read only, idle,
    lifetime, retired, reset, closing, and fault, which is one in this layer.
    """

    min_size: int
    max_size: int
    size: int
    in_use: int
    idle: int
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


def snapshot(lease: "Lease") -> PoolStatistics:
    """What is true of the lease now, and its counters."""
    counters = lease.counters
    return PoolStatistics(
        min_size=lease.options.min_size,
        max_size=lease.options.max_size,
        size=len(lease.connections),
        in_use=len(lease.connections) - len(lease.idle),
        idle=len(lease.idle),
        opening=lease.openings.pending,
        waiting=len(lease.queue.waiters),
        acquires=counters.acquires,
        waits=counters.waits,
        wait_seconds=counters.wait_seconds,
        wait_histogram=dict(zip((*WAIT_BUCKETS, float("inf")), counters.wait_buckets, strict=True)),
        timeouts=counters.timeouts,
        refusals=counters.refusals,
        connects=counters.connects,
        connect_failures=counters.connect_failures,
        pings=counters.pings,
        resets=counters.resets,
        retries=counters.retries,
        evictions=dict(counters.evictions),
    )
