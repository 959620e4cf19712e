"""Percentiles of a histogram, interpolated within its buckets as Prometheus' histogram_quantile() does."""

from collections.abc import Sequence


def percentile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """Return the value below which this share of the runs lies; None without runs.

    `counts` has one more bucket than there are upper bounds; what lies in that one counts as the last bound.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, before = share * total, 0
    for index, count in enumerate(counts):
        if before + count >= wanted and count:
            if index == len(bounds):
                break
            lower = bounds[index - 1] if index else 0.0
            return lower + (bounds[index] - lower) * (wanted - before) / count
        before += count
    return bounds[-1]
