"""How many requests are admitted, by what was measured: with a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.http import admission as module
from app.http.admission import Admission
from app.http.watch import RequestWork, RouteFigures

TARGET, LEAST, CAPACITY, SERVICE = 0.02, 30, 1000, 0.01


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    yield clock


def answer(admission: Admission, clock: Clock, *, wait: float, takes: float = SERVICE) -> None:
    """Let a request that had begun end now, of which it waited so long and took so long besides, in seconds."""
    arrived = clock.now - wait - takes
    work = RequestWork(RouteFigures("GET", "/"), {"arrived_at": arrived}, "", 0)
    work.began = arrived
    work.wait_seconds = wait
    admission.ended(work, wait + takes)


def serve(admission: Admission, clock: Clock, *, asked: int, seconds: float, wait: float | None = None) -> int:
    """Serve so many requests a second by a server with a capacity; return how many were refused.

    Each waits as long as the queue takes, or the `wait` that is given.
    """
    refused, due = 0, 0.0
    for _ in range(round(seconds * CAPACITY)):
        clock.now += 1 / CAPACITY
        due += asked / CAPACITY
        while due >= 1:
            due -= 1
            if admission.refuses():
                refused += 1
            else:
                admission.began()
        if admission.active:
            queue = max(0.0, admission.active / CAPACITY - SERVICE)
            answer(admission, clock, wait=queue if wait is None else wait)
    return refused


def test_nobody_is_refused_below_capacity(clock: Clock) -> None:
    assert serve(Admission(TARGET, LEAST), clock, asked=950, seconds=10) == 0


def test_a_burst_that_drains_is_admitted_whole(clock: Clock) -> None:
    admission = Admission(TARGET, LEAST)
    for _ in range(90):
        assert not admission.refuses()
        admission.began()

    assert serve(admission, clock, asked=300, seconds=5) == 0


def test_twice_the_load_is_refused_half_and_the_rest_waits_for_about_the_target(clock: Clock) -> None:
    admission = Admission(TARGET, LEAST)
    serve(admission, clock, asked=2000, seconds=3)

    assert 0.45 < serve(admission, clock, asked=2000, seconds=5) / 10_000 < 0.55
    assert admission.active / CAPACITY < 3 * (SERVICE + TARGET)


def test_all_are_admitted_a_second_after_the_overload(clock: Clock) -> None:
    admission = Admission(TARGET, LEAST)
    serve(admission, clock, asked=3000, seconds=3)
    serve(admission, clock, asked=500, seconds=1.2)

    for _ in range(500):
        assert not admission.refuses()
        admission.began()


def test_a_pause_in_which_nothing_is_answered_is_no_overload(clock: Clock) -> None:
    admission = Admission(TARGET, LEAST)
    serve(admission, clock, asked=900, seconds=2)
    clock.now += 5

    for _ in range(500):
        assert not admission.refuses()
        admission.began()


def test_slow_answers_may_wait_as_long_as_they_take(clock: Clock) -> None:
    admission = Admission(TARGET, LEAST)
    for _ in range(1000):
        clock.now += 0.01
        admission.began()
        admission.began()
        answer(admission, clock, wait=0.5, takes=1.0)

    assert not admission.refuses()


def test_a_pool_is_always_used_whole(clock: Clock) -> None:
    admission = Admission(TARGET, LEAST)
    serve(admission, clock, asked=CAPACITY, seconds=5, wait=60.0)

    assert admission.limit >= LEAST


def test_an_export_of_a_minute_says_nothing_about_the_others(clock: Clock) -> None:
    admission = Admission(TARGET, LEAST)
    serve(admission, clock, asked=2000, seconds=2)
    before = admission.limit
    admission.began()
    answer(admission, clock, wait=0.0, takes=60.0)
    serve(admission, clock, asked=2000, seconds=1)

    assert admission.limit < 2 * before


def test_a_target_of_zero_admits_all(clock: Clock) -> None:
    assert serve(Admission(0.0, LEAST), clock, asked=5000, seconds=3) == 0
