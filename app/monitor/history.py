"""The last minutes, one sample a second: what the charts show."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import time

from app.http.watch import REQUEST_BUCKETS
from app.monitor.percentiles import percentile
from app.monitor.snapshot import Snapshot, added

KEPT = 180
"""Samples."""
WINDOW = 10
"""Seconds that rates and percentiles look back."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment: `rate` is requests a second; the percentiles are seconds, None without requests in the window."""

    at: float
    rate: float
    p50: float | None
    p95: float | None
    p99: float | None
    in_use: int
    open: int
    waiting: int
    errors: float


@dataclass(frozen=True, slots=True)
class _Totals:
    at: float
    buckets: list[int]
    errors: int


class History:
    """The samples, the newest last."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self._totals: deque[_Totals] = deque(maxlen=WINDOW + 1)

    def add(self, snapshots: Sequence[Snapshot]) -> None:
        """Add a sample of all workers now."""
        outcomes = [each for snapshot in snapshots for route in snapshot.routes for each in route.outcomes]
        empty = [0] * (len(REQUEST_BUCKETS) + 1)
        failed = sum(sum(each.buckets) for each in outcomes if each.status >= 500)
        now = _Totals(time(), added([empty, *(each.buckets for each in outcomes)]), failed)
        self._totals.append(now)
        first = self._totals[0]
        seconds = max(now.at - first.at, 1e-9)
        # A worker that was replaced counts from 0 again.
        recent = [max(0, last - early) for last, early in zip(now.buckets, first.buckets, strict=True)]
        pools = [each.pool for each in snapshots if each.pool]
        self.samples.append(
            Sample(
                at=now.at,
                rate=sum(recent) / seconds if len(self._totals) > 1 else 0.0,
                p50=percentile(REQUEST_BUCKETS, recent, 0.5),
                p95=percentile(REQUEST_BUCKETS, recent, 0.95),
                p99=percentile(REQUEST_BUCKETS, recent, 0.99),
                in_use=sum(each.in_use for each in pools),
                open=sum(each.size for each in pools),
                waiting=sum(each.waiting for each in pools),
                errors=max(0, now.errors - first.errors) / seconds if len(self._totals) > 1 else 0.0,
            )
        )
