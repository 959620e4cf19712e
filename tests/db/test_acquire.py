"""Who gets which connection, and what becomes of those who get none."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections.abc import Generator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from app.db import Database, DatabaseUnavailable, NotConnected, PoolTimeout, StatementTimeout
from tests.db.pools import get_number, get_pid, pool, sleep, until, until_idle, until_waiting
from tests.network import Network


async def test_connections_are_lent_in_the_order_of_asking(database_url: str) -> None:
    served: list[int] = []

    async def ask(number: int) -> None:
        async with db.acquire():
            served.append(number)

    async with pool(database_url) as db:
        async with db.acquire():
            tasks: list[asyncio.Task[None]] = []
            for number in range(10):
                tasks.append(asyncio.create_task(ask(number)))
                await until_waiting(db, number + 1)
        await asyncio.gather(*tasks)

    assert served == list(range(10))


async def test_the_first_in_the_queue_stays_first_when_the_connection_it_tested_was_dead(
    database_url: str, network: Network
) -> None:
    served: list[int] = []

    async def ask(number: int) -> None:
        async with db.acquire():
            served.append(number)

    async with pool(network.dsn, ping_after=0.0) as db:
        network.hold()
        tasks = [asyncio.create_task(ask(0))]
        await until(lambda: db.statistics().in_use == 1)
        tasks.append(asyncio.create_task(ask(1)))
        await until_waiting(db, 2)
        network.drop()
        await asyncio.gather(*tasks)

    assert served == [0, 1]


async def test_a_connection_keeps_nothing_of_the_task_whose_need_opened_it(database_url: str) -> None:
    class Request: ...

    of_this_task: ContextVar[Request] = ContextVar("of_this_task")

    async def ask(db: Database) -> weakref.ref[Request]:
        of_this_task.set(Request())
        assert await get_number(db, number=1) == 1
        return weakref.ref(of_this_task.get())

    async with pool(database_url, max_size=2) as db, db.acquire():
        request = await asyncio.create_task(ask(db))
        await asyncio.sleep(0)
        gc.collect()
        assert db.statistics().size == 2
        assert request() is None


async def test_more_connections_are_opened_under_load_up_to_the_limit(database_url: str) -> None:
    async with pool(database_url, min_size=1, max_size=3) as db:
        assert db.statistics().size == 1
        async with db.acquire(), db.acquire(), db.acquire():
            waiting = asyncio.create_task(get_number(db, number=1))
            await until_waiting(db, 1)
            assert db.statistics().size == 3
        await waiting

        assert db.statistics().size == 3
        assert db.statistics().connects == 3


async def test_a_time_out_says_what_the_pool_was_doing(database_url: str) -> None:
    async with pool(database_url, max_size=2) as db, db.acquire() as connection, db.transaction() as tx:
        await connection.execute("select 'raw'")
        await get_number(tx, number=1)
        with pytest.raises(PoolTimeout) as caught:
            await asyncio.create_task(get_number_within(db, 0.05), name="latecomer")

    lines = str(caught.value).splitlines()
    task = asyncio.current_task()
    assert task is not None
    assert lines[0] == (
        "no connection became free in time: 2 of at most 2 connections are open, 2 in use, 0 idle; 1 waiting"
    )
    assert lines[1].startswith(f"  task {task.get_name()!r} for ")
    assert "last ran select 'raw'" in lines[1]
    assert "in a transaction" not in lines[1]
    assert "in a transaction, last ran get_number, acquired at " in lines[2]
    assert "test_acquire.py:" in lines[2]
    assert len(lines) == 3


async def test_a_time_out_says_where_run_was_called(database_url: str) -> None:
    async def wait_for_another(_: object) -> None:
        await asyncio.create_task(get_number_within(db, 0.05))

    async with pool(database_url, max_size=1) as db:
        with pytest.raises(PoolTimeout, match=r"in a transaction, acquired at .*test_acquire\.py:\d+$"):
            await db.run(wait_for_another)


async def get_number_within(db: Database, seconds: float) -> None:
    async with db.acquire(timeout=seconds) as connection:
        await get_number(connection, number=1)


async def test_a_single_statement_is_named_in_a_time_out_too(database_url: str) -> None:
    async with pool(database_url, acquire_timeout=0.05) as db:
        sleeping = asyncio.ensure_future(sleep(db, seconds=60))
        sleeping.set_name("sleeper")
        await until(lambda: db.statistics().in_use == 1)
        with pytest.raises(PoolTimeout, match=r"task 'sleeper' for \d+\.\d s, last ran sleep$"):
            await get_number(db, number=1)
        sleeping.cancel()
        await asyncio.gather(sleeping, return_exceptions=True)


async def test_a_time_out_tells_of_the_last_failure_to_connect(network: Network) -> None:
    async with pool(network.dsn, max_size=2) as db, db.acquire():
        await network.refuse()
        patient = asyncio.create_task(get_number_within(db, 60))
        await until(lambda: db.statistics().connect_failures)
        with pytest.raises(PoolTimeout, match="the last attempt to connect failed: cannot reach PostgreSQL at"):
            await asyncio.create_task(get_number_within(db, 0.05))
        patient.cancel()
        await asyncio.wait([patient])


async def test_a_statement_waits_as_long_as_the_pool_says(database_url: str) -> None:
    async with pool(database_url, acquire_timeout=0.05) as db:
        async with db.acquire():
            with pytest.raises(PoolTimeout):
                await asyncio.ensure_future(get_pid(db))
            with pytest.raises(PoolTimeout):
                await asyncio.ensure_future(db.fetchval("select 1"))
        assert db.statistics().timeouts == 2


async def test_each_waiter_has_its_own_deadline(database_url: str) -> None:
    async with pool(database_url) as db:
        async with db.acquire():
            patient = asyncio.create_task(get_number_within(db, 60))
            await until_waiting(db, 1)
            with pytest.raises(PoolTimeout):
                await asyncio.create_task(get_number_within(db, 0.05))
            assert db.statistics().waiting == 1
        await patient


async def test_beyond_the_limit_of_waiters_nobody_waits(database_url: str) -> None:
    async with pool(database_url, max_waiting=2, acquire_timeout=60) as db:
        async with db.acquire():
            waiting = [asyncio.ensure_future(get_number(db, number=1)) for _ in range(2)]
            await until_waiting(db, 2)
            with pytest.raises(PoolTimeout, match="2 tasks wait for a connection already, as many as allowed"):
                await asyncio.ensure_future(get_number(db, number=1))
            assert db.statistics().refusals == 1
        assert await asyncio.gather(*waiting) == [1, 1]


async def test_without_a_queue_a_stale_connection_is_still_tested_and_lent(database_url: str) -> None:
    async with pool(database_url, max_waiting=0, ping_after=0.0) as db:
        assert await get_number(db, number=1) == 1


async def test_when_every_holder_waits_the_newest_is_told_at_once(database_url: str) -> None:
    async with pool(database_url, max_size=2, acquire_timeout=60) as db:
        both = asyncio.Barrier(2)

        async def nest(number: int) -> int:
            async with db.acquire():
                await both.wait()
                return await get_number(db, number=number)

        outcomes = await asyncio.gather(nest(1), nest(2), return_exceptions=True)

    refused = [outcome for outcome in outcomes if isinstance(outcome, PoolTimeout)]
    assert len(refused) == 1
    assert "every connection is held by a task that itself waits for one more" in str(refused[0])
    assert {1, 2} & {outcome for outcome in outcomes if isinstance(outcome, int)}


async def test_a_task_that_asks_for_the_only_connection_twice_is_told_at_once(database_url: str) -> None:
    async with pool(database_url, acquire_timeout=60) as db, db.transaction():
        with pytest.raises(PoolTimeout, match="every connection is held"):
            await get_number(db, number=1)


async def test_a_holder_that_does_not_wait_is_waited_for(database_url: str) -> None:
    async with pool(database_url, max_size=2, acquire_timeout=60) as db:
        sleeping = asyncio.ensure_future(sleep(db, seconds=0.1))
        await until(lambda: db.statistics().in_use == 1)
        async with db.acquire():
            assert await get_number(db, number=1) == 1
        await sleeping


async def test_whoever_waits_while_the_pool_closes_is_told(database_url: str) -> None:
    async with pool(database_url, close_timeout=0.05) as db, db.acquire():
        waiting = asyncio.ensure_future(get_number(db, number=1))
        await until_waiting(db, 1)
        await db.close()
        with pytest.raises(NotConnected, match="closed while this task waited"):
            await waiting


async def test_a_cancelled_statement_is_never_felt_by_the_next(database_url: str) -> None:
    async with pool(database_url) as db:
        for _ in range(20):
            slow = asyncio.ensure_future(sleep(db, seconds=60))
            await until(lambda: db.statistics().in_use == 1)
            await asyncio.sleep(random.random() / 200)
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
            assert await get_number(db, number=7) == 7


@pytest.mark.parametrize("method", ["execute", "fetch", "fetchrow", "fetchval"])
async def test_a_raw_statement_that_ran_out_of_time_is_never_felt_by_the_next(database_url: str, method: str) -> None:
    async with pool(database_url) as db:
        for _ in range(5):
            async with db.acquire() as connection:
                with pytest.raises(StatementTimeout):
                    await getattr(connection, method)("select pg_sleep(60)", timeout=0.01)
            assert await get_number(db, number=7) == 7
        assert db.statistics().size == 1


async def test_a_cancelled_begin_leaves_no_transaction_to_the_next(database_url: str, network: Network) -> None:
    async with pool(network.dsn) as db:
        network.hold()

        async def begin() -> None:
            async with db.transaction():
                raise AssertionError("BEGIN was never answered")

        task = asyncio.create_task(begin())
        await until(lambda: network.waiting)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        network.release()

        async with db.acquire() as connection:
            assert not connection.is_in_transaction()
            async with connection.transaction():
                assert await get_number(connection, number=3) == 3
        # Nobody knows whether that session has a transaction.
        assert db.statistics().evictions == {"reset": 1}


@pytest.mark.parametrize("seed", range(6))
async def test_random_cancellation_loses_no_connection(database_url: str, seed: int) -> None:
    dice = random.Random(seed)
    settings: dict[str, Any] = {"ping_after": dice.choice([0.0, 0.5]), "min_size": dice.choice([1, 4])}
    async with pool(database_url, max_size=4, acquire_timeout=60, idle_timeout=0.05, **settings) as db:
        work = [use(db, dice.randrange(5)) for _ in range(150)]
        tasks: list[asyncio.Task[int]] = []
        for each in work:
            tasks.append(asyncio.create_task(each))
            for _ in range(dice.randrange(4)):
                # From one turn of the loop to the next: also in the turn in which a connection is lent.
                await asyncio.sleep(dice.choice([0, 0, 0, 0.001]))
            if dice.random() < 0.5:
                dice.choice(tasks).cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await until_idle(db)
        statistics = db.statistics()

        assert {type(outcome) for outcome in outcomes} <= {int, asyncio.CancelledError}
        assert statistics.waiting == 0
        assert statistics.idle == statistics.size
        assert statistics.connects - sum(statistics.evictions.values()) == statistics.size
        assert await asyncio.gather(*(use(db, 1) for _ in range(8))) == [1] * 8


async def use(db: Database, kind: int) -> int:
    """One of the ways to use a connection; 1."""
    if kind == 0:
        return await sleep(db, seconds=0.002)
    if kind == 1:
        return await get_number(db, number=1)
    if kind == 2:
        async with db.acquire() as connection:
            return await connection.fetchval("select 1 from pg_sleep(0.001)")
    async with db.transaction() as tx:
        if kind == 3:
            await tx.execute("set local lock_timeout = '1s'")
        return await get_number(tx, number=1)


async def test_whoever_is_not_cancelled_keeps_the_order(database_url: str) -> None:
    dice = random.Random(1)
    served: list[int] = []

    async def ask(number: int) -> None:
        async with db.acquire():
            served.append(number)
            await asyncio.sleep(0)

    async with pool(database_url) as db:
        async with db.acquire():
            tasks = [asyncio.create_task(ask(number)) for number in range(60)]
            await until_waiting(db, 60)
        while not all(task.done() for task in tasks):
            dice.choice(tasks).cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)

        assert len(served) > 5
        assert served == sorted(served)
        assert db.statistics().size == 1


async def test_a_connection_that_was_given_back_cannot_be_used(db: Database) -> None:
    async with db.acquire() as connection:
        await get_number(connection, number=1)

    with pytest.raises(NotConnected, match="given back"):
        await get_number(connection, number=1)
    with pytest.raises(NotConnected, match="given back"):
        await connection.execute("select 1")


async def test_nothing_waits_for_a_server_that_is_gone(network: Network) -> None:
    async with pool(network.dsn, acquire_timeout=60, max_size=2) as db:
        await network.cut()
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable, match="cannot reach PostgreSQL at"):
                await get_number(db, number=1)
        await network.mend()
        assert await get_number(db, number=1) == 1


async def test_each_waiter_gets_an_error_of_its_own(network: Network) -> None:
    async with pool(network.dsn, acquire_timeout=60, max_size=2) as db:
        await network.cut()
        outcomes = await asyncio.gather(*(get_number(db, number=1) for _ in range(5)), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailable}
    assert len({id(outcome) for outcome in outcomes}) == 5


async def test_a_coroutine_that_is_collected_inside_a_transaction_gives_its_connection_back(database_url: str) -> None:
    entered: list[int] = []

    async def work(db: Database) -> None:
        async with db.transaction() as tx, tx.transaction():
            entered.append(await get_number(tx, number=1))
            await asyncio.Event().wait()

    class Begun:
        def __await__(self) -> Generator[Any]:
            steps = abandoned.__await__()
            waits = next(steps)
            while not entered:
                yield waits
                waits = next(steps)

    async with pool(database_url) as db:
        abandoned = work(db)
        await Begun()
        # What becomes of a task that nothing refers to.
        abandoned.close()
        assert await get_number(db, number=2) == 2


async def test_a_time_out_is_told_where_the_current_directory_is_gone(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    async with pool(database_url) as db, db.acquire():
        waiting = asyncio.create_task(db.acquire(timeout=0.01).__aenter__())
        with pytest.raises(PoolTimeout, match="acquired at"):
            await waiting
