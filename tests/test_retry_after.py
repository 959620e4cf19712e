"""How long refused clients are asked to wait: with a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import app.turning_away as module
from app.turning_away import RetryAfter
from tests.http.test_admission import Clock

ANSWERED = 1000.0  # a second


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    yield clock


def refuse(retry_after: RetryAfter, clock: Clock, refusals: int, seconds: int) -> set[int]:
    """Refuse so many a second; return what those of the last second were told."""
    told = set[int]()
    for _ in range(seconds):
        told.clear()
        for _ in range(refusals):
            clock.now += 1 / refusals
            told.add(retry_after.seconds(ANSWERED))
    return told


def test_few_wait_from_one_to_three_seconds(clock: Clock) -> None:
    assert refuse(RetryAfter(), clock, refusals=200, seconds=20) == {1, 2, 3}


def test_many_wait_longer_but_never_more_than_fifteen_seconds(clock: Clock) -> None:
    told = refuse(RetryAfter(), clock, refusals=5000, seconds=20)
    assert min(told) == 5
    assert max(told) == 15


def test_it_is_soon_short_again_when_few_are_refused(clock: Clock) -> None:
    retry_after = RetryAfter()
    refuse(retry_after, clock, refusals=5000, seconds=20)
    assert refuse(retry_after, clock, refusals=50, seconds=10) == {1, 2, 3}


def test_after_a_quiet_time_it_is_short_at_once(clock: Clock) -> None:
    retry_after = RetryAfter()
    refuse(retry_after, clock, refusals=5000, seconds=20)
    clock.now += 60
    retry_after.seconds(ANSWERED)
    assert refuse(retry_after, clock, refusals=200, seconds=1) == {1, 2, 3}


def test_clients_that_come_back_are_a_quarter_of_those_answered(clock: Clock) -> None:
    retry_after = RetryAfter()
    back_at = [clock.now + each / 2000 for each in range(2000)]
    refused = 0
    for second in range(60):
        ends = clock.now + 1
        due = sorted(moment for moment in back_at if moment < ends)
        back_at = [moment for moment in back_at if moment >= ends]
        for moment in due:
            clock.now = moment
            back_at.append(moment + retry_after.seconds(ANSWERED))
        refused += len(due) if second >= 30 else 0
        clock.now = ends
    assert 0.2 * ANSWERED < refused / 30 < 0.35 * ANSWERED
