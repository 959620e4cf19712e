"""Percentiles of histograms."""

from __future__ import annotations

import pytest

from app.monitor.percentiles import percentile

BOUNDS = (1.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ([0, 0, 0, 0], 0.5, None),
        ([10, 0, 0, 0], 0.5, 0.5),
        ([0, 10, 0, 0], 0.5, 1.5),
        ([5, 5, 0, 0], 0.99, 1.98),
        ([0, 0, 10, 0], 1.0, 4.0),
        ([0, 0, 0, 3], 0.5, 4.0),
    ],
)
def test_a_percentile_is_interpolated_within_its_bucket(
    counts: list[int], share: float, expected: float | None
) -> None:
    assert percentile(BOUNDS, counts, share) == (None if expected is None else pytest.approx(expected))
