"""How many sessions work at once while tasks wait: as many as get the most done, and others get on meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import pytest

from app.db import Database, NotConnected
from app.db.pool import crowding
from app.db.pool.crowding import FEWEST, BestNumber
from app.db.pool.pool import Pool
from tests.db.pools import get_number, get_pid, pool, until, until_idle, until_waiting
from tests.db.test_health import kill


def search(most: int, rate: Callable[[int], float]) -> list[int]:
    """Measure 400 intervals, each with some noise, and return the numbers of the last 200."""
    dice, best = random.Random(7), BestNumber(most)
    numbers: list[int] = []
    for _ in range(400):
        numbers.append(best.now)
        best.measured(rate(best.now) * dice.gauss(1, 0.1))
    return numbers[200:]


def mean(numbers: list[int]) -> float:
    return sum(numbers) / len(numbers)


def test_where_more_sessions_get_less_done_there_are_few() -> None:
    assert 3 <= mean(search(16, lambda number: 1000 * min(number, 4) / 4 * 0.97 ** max(0, number - 4))) <= 6


def test_where_more_sessions_get_no_more_done_there_are_few() -> None:
    assert 3 <= mean(search(16, lambda number: 250 * min(number, 4))) <= 7


def test_where_each_session_gets_more_done_there_are_as_many_as_possible() -> None:
    assert mean(search(16, lambda number: 100 * number)) >= 13


def test_it_goes_up_again_when_more_sessions_begin_to_get_more_done() -> None:
    best = BestNumber(16)
    for _ in range(200):
        best.measured(1000 / best.now)
    assert best.now == FEWEST
    for _ in range(200):
        best.measured(100 * best.now)
    assert best.now >= 12


def test_there_are_never_fewer_than_two() -> None:
    assert min(search(16, lambda number: 1000 / number)) == FEWEST == 2


async def serialised(db: Database, lock: asyncio.Lock) -> None:
    """Use a session for something that only one can do at a time."""
    while True:
        async with db.acquire(), lock:
            await asyncio.sleep(0.001)


async def test_sessions_that_get_nothing_more_done_are_kept_back_while_tasks_wait(database_url: str) -> None:
    async with pool(database_url, min_size=8, max_size=8) as db:
        lock = asyncio.Lock()
        tasks = [asyncio.create_task(serialised(db, lock)) for _ in range(30)]
        await until(lambda: db.statistics().kept_back >= 3)
        assert db.statistics().waiting > 0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        await until_idle(db)
        assert db.statistics().idle == 8


class AlwaysTwo(BestNumber):
    """The search of a server that gets nothing more done with a third session."""

    def measured(self, rate: float) -> None:
        """Stay with two."""
        self.now = FEWEST


class Crowd:
    """A pool of four, of which two are kept back: two tasks hold the others, and one more waits."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.pool: Pool = getattr(db, "_pool")  # noqa: B009 - no public name sets how many may work
        self.ends = asyncio.Event()
        self.pids: dict[int, int] = {}
        self.tasks: list[asyncio.Task[None]] = []

    async def gather(self) -> None:
        """Keep two sessions back."""
        self.pool.crowding.best = AlwaysTwo(FEWEST)
        first = asyncio.Event()
        self.tasks = [asyncio.create_task(self.hold(number, first)) for number in range(4)]
        await until(lambda: self.db.statistics().in_use == 4)
        self.tasks += [asyncio.create_task(self.hold(number, self.ends)) for number in range(4, 7)]
        await until_waiting(self.db, 3)
        first.set()
        await until(lambda: self.db.statistics().kept_back == 2)

    async def hold(self, number: int, until_set: asyncio.Event) -> None:
        """Hold a session until the event is set."""
        async with self.db.acquire() as connection:
            self.pids[number] = await get_pid(connection)
            await until_set.wait()

    def look(self) -> None:
        """Do what is done after each interval."""
        getattr(self.pool.crowding, "_look")()  # noqa: B009 - otherwise its timer does

    async def end(self) -> None:
        """Let all holders go."""
        self.ends.set()
        await asyncio.gather(*self.tasks)


@pytest.fixture
async def crowd(database_url: str) -> AsyncIterator[Crowd]:
    async with pool(database_url, min_size=4, max_size=4, acquire_timeout=10, ping_after=60) as db:
        crowd = Crowd(db)
        await crowd.gather()
        yield crowd
        await crowd.end()


async def test_holders_that_take_long_do_not_count_so_that_others_get_on(crowd: Crowd) -> None:
    assert crowd.db.statistics().waiting == 1
    for _ in range(20):
        assert await get_number(crowd.db, number=3) == 3


async def test_holders_that_all_need_one_more_get_it(database_url: str) -> None:
    async def hold_two(db: Database, first: asyncio.Event) -> int:
        async with db.acquire():
            await first.wait()
            async with db.acquire() as second:
                return await get_number(second, number=2)

    async with pool(database_url, min_size=4, max_size=4) as db:
        crowd = Crowd(db)
        await crowd.gather()
        crowd.ends.set()
        assert await asyncio.gather(*(hold_two(db, crowd.ends) for _ in range(3))) == [2, 2, 2]
        await crowd.end()


async def test_one_that_died_meanwhile_is_not_lent(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowding, "INTERVAL", 60)
    async with pool(database_url, min_size=4, max_size=4, ping_after=60) as db:
        crowd = Crowd(db)
        await crowd.gather()
        kept = [pooled.session.get_server_pid() for pooled in crowd.pool.state.kept_back]
        await asyncio.to_thread(kill, database_url, *kept)

        crowd.pool.crowding.best = BestNumber(4)
        crowd.look()
        await until(lambda: db.statistics().waiting == 0)
        await crowd.end()
        crowd.look()
        assert await asyncio.gather(*(get_number(db, number=each) for each in range(9))) == [*range(9)]
        assert db.statistics().evictions == {"dead": 2}


async def test_they_are_idle_again_when_nobody_waits(crowd: Crowd) -> None:
    await crowd.end()
    await until_idle(crowd.db)
    assert (crowd.db.statistics().idle, crowd.db.statistics().kept_back) == (4, 0)


async def test_closing_the_pool_ends_them_as_well(database_url: str) -> None:
    async with pool(database_url, min_size=4, max_size=4) as db:
        crowd = Crowd(db)
        await crowd.gather()
        crowd.ends.set()
    assert not db.is_open
    outcomes = await asyncio.gather(*crowd.tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), NotConnected}
    async with pool(database_url) as other:
        rest = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        async with asyncio.timeout(10):
            while await other.fetchval(rest):
                await asyncio.sleep(0.01)
