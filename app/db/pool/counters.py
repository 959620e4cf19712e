"""The counters of a pool."""

from bisect import bisect_left
from collections import Counter

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
