"""Many time limits on one timer."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from app.db.pool.timer import TimeLimits, Timer


class Fired:
    """Counts how often it is called, and asks for no more."""

    def __init__(self) -> None:
        self.times = 0
        self.event = asyncio.Event()

    def __call__(self) -> None:
        self.times += 1
        self.event.set()


async def test_the_earliest_moment_counts() -> None:
    fired = Fired()
    timer = Timer(fired)
    timer.set(monotonic() + 60)
    timer.set(monotonic() + 0.01)
    timer.set(monotonic() + 60)

    async with asyncio.timeout(20):
        await fired.event.wait()
    assert fired.times == 1


async def test_a_moment_that_is_due_can_be_followed_by_another() -> None:
    fired = Fired()
    timer = Timer(fired)
    timer.set(monotonic() - 1)
    timer.set(monotonic() + 60)

    async with asyncio.timeout(20):
        await fired.event.wait()
    assert fired.times == 1


async def test_a_timer_at_no_moment_never_fires() -> None:
    timer = Timer(Fired())
    timer.set(float("inf"))
    timer.cancel()


async def test_a_timer_that_is_cancelled_does_not_fire() -> None:
    fired = Fired()
    timer = Timer(fired)
    timer.set(monotonic() + 0.01)
    timer.cancel()

    await asyncio.sleep(0.05)
    assert fired.times == 0


async def test_each_block_ends_at_its_own_moment() -> None:
    limits, ended = TimeLimits(), list[str]()

    async def end(name: str, seconds: float) -> None:
        with pytest.raises(TimeoutError), limits.until(monotonic() + seconds):
            await asyncio.Event().wait()
        ended.append(name)

    async with asyncio.timeout(20):
        last = asyncio.create_task(end("last", 60))
        await asyncio.gather(end("first", 0.02), end("second", 0.04))
        assert sorted(ended) == ["first", "second"]
        last.cancel()
        await asyncio.wait([last])


async def test_a_block_that_ended_in_time_is_forgotten() -> None:
    limits = TimeLimits()
    with limits.until(monotonic() + 0.01) as limit:
        pass
    await asyncio.sleep(0.05)

    assert not limit.expired
    assert not limits.running


async def test_whoever_cancels_the_task_cancels_it() -> None:
    limits = TimeLimits()

    async def work() -> None:
        with limits.until(monotonic() + 60):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_is_cancelled_at_its_limit_as_well_is_cancelled() -> None:
    limits = TimeLimits()

    async def work() -> None:
        with limits.until(monotonic() + 60) as limit:
            current = asyncio.current_task()
            assert current
            limit.expire()
            current.cancel()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_after_a_limit_the_task_goes_on_as_if_never_cancelled() -> None:
    limits = TimeLimits()
    with pytest.raises(TimeoutError), limits.until(monotonic()):
        await asyncio.sleep(60)

    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


async def test_another_error_at_the_limit_is_not_hidden() -> None:
    limits = TimeLimits()
    with pytest.raises(ValueError, match="first"), limits.until(monotonic() + 60) as limit:
        limit.expire()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ValueError("first") from None
