"""How a pool starts and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from app.db import Database, DatabaseUnavailable, NotConnected
from tests.db.pools import get_number, pool, sleep, until
from tests.network import Network


def others() -> set[asyncio.Task[object]]:
    """All tasks but this one."""
    return asyncio.all_tasks() - {asyncio.current_task()}


async def test_a_server_that_is_away_is_told_at_once(network: Network) -> None:
    await network.cut()

    with pytest.raises(DatabaseUnavailable, match="is it running"):
        await Database(network.dsn, min_size=1).connect()


async def test_the_start_can_wait_for_the_server(network: Network) -> None:
    await network.cut()
    db = Database(network.dsn, min_size=2, startup_wait=60)
    start = asyncio.create_task(db.connect())
    await asyncio.sleep(0.3)
    assert not start.done()
    await network.mend()
    await start

    assert db.statistics().size == 2
    await db.close()


async def test_the_start_waits_no_longer_than_it_may(network: Network) -> None:
    await network.cut()

    with pytest.raises(DatabaseUnavailable):
        await Database(network.dsn, startup_wait=0.3).connect()


async def test_a_failed_start_can_be_tried_again(network: Network) -> None:
    db = Database(network.dsn, min_size=1)
    await network.cut()
    with pytest.raises(DatabaseUnavailable):
        await db.connect()
    await network.mend()
    async with db:
        assert await get_number(db, number=1) == 1


async def test_a_start_that_is_cancelled_leaves_nothing(network: Network) -> None:
    network.hold()
    before = others()
    start = asyncio.create_task(Database(network.dsn).connect())
    await until(lambda: network.waiting)
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    network.release()

    await until(lambda: not {task for task in others() - before if "_relay" not in repr(task)})


async def test_a_database_opens_once(database_url: str) -> None:
    async with pool(database_url) as db:
        with pytest.raises(NotConnected, match="open already"):
            await db.connect()


async def test_a_database_can_be_opened_again(database_url: str) -> None:
    db = Database(database_url, min_size=1)
    for _ in range(2):
        async with db:
            assert await get_number(db, number=1) == 1
    with pytest.raises(NotConnected, match="not open"):
        await get_number(db, number=1)
    with pytest.raises(NotConnected, match="not open"):
        db.statistics()


async def test_closing_waits_for_what_is_lent(database_url: str) -> None:
    async with pool(database_url, max_size=2) as db:
        running = asyncio.ensure_future(sleep(db, seconds=0.1))
        await until(lambda: db.statistics().in_use == 1)

    assert await running == 1


async def test_closing_waits_for_resets_and_tests(network: Network) -> None:
    before = others()
    async with pool(network.dsn, min_size=2, max_size=2, keepalive=0.01) as db:
        async with db.acquire() as connection:
            await connection.execute("set lock_timeout = '1s'")
        assert db.statistics().in_use
    await network.cut()

    assert others() <= before


async def opening(network: Network, connect_timeout: float = 60) -> Database:
    """A pool that is opening a connection, which the server holds up, and that nobody uses."""
    db = Database(network.dsn, min_size=1, max_size=2, connect_timeout=connect_timeout)
    await db.connect()
    async with db.acquire():
        network.hold()
        waiting = asyncio.create_task(get_number(db, number=1))
        await until(lambda: network.waiting)
        waiting.cancel()
        await asyncio.wait([waiting])
    return db


async def test_closing_waits_for_a_connection_that_is_being_opened(network: Network) -> None:
    db = await opening(network)
    closing = asyncio.create_task(db.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    network.release()
    await closing


async def test_closing_waits_but_a_moment_for_a_server_that_does_not_answer(network: Network) -> None:
    db = await opening(network, connect_timeout=600)
    async with asyncio.timeout(60):
        await db.close()


async def test_closing_does_not_wait_for_ever_and_says_so(database_url: str) -> None:
    db = Database(database_url, min_size=1, max_size=2, close_timeout=0.05)
    await db.connect()
    with pytest.raises(LookupError):
        await outlive(db)


async def outlive(db: Database) -> None:
    async with db.acquire() as connection, db.transaction() as tx:
        running = asyncio.ensure_future(sleep(tx, seconds=60))
        await asyncio.sleep(0.05)
        await db.close()

        with pytest.raises(DatabaseUnavailable, match="lost during sleep"):
            await running
        with pytest.raises(DatabaseUnavailable, match="lost during get_number"):
            await get_number(connection, number=1)
        with pytest.raises(DatabaseUnavailable, match="lost during raw SQL"):
            await connection.fetchval("select 1")
        with pytest.raises(DatabaseUnavailable, match="lost before BEGIN"):
            async with connection.transaction():
                pass
        assert not connection.is_in_transaction()
        with pytest.raises(NotConnected):
            await get_number(db, number=1)
        raise LookupError


async def test_nothing_goes_on_after_the_end(database_url: str) -> None:
    before = others()
    async with pool(database_url, min_size=1, max_size=4, close_timeout=0.05, acquire_timeout=60) as db:
        tasks = [asyncio.ensure_future(sleep(db, seconds=60)) for _ in range(10)]
        await until(lambda: db.statistics().in_use == 4)
        tasks[0].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError, DatabaseUnavailable, NotConnected}
    await until(lambda: others() <= before)


async def test_closing_twice_is_closing_once(database_url: str) -> None:
    db = Database(database_url, min_size=1)
    await db.connect()
    await db.close()
    await db.close()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"min_size": 3, "max_size": 2}, "min_size"),
        ({"min_size": -1}, "min_size"),
        ({"min_size": 0, "max_size": 0}, "max_size at least 1"),
        ({"acquire_timeout": 0}, "acquire_timeout must be more than 0 seconds"),
        ({"keepalive": -1}, "keepalive must be more than 0 seconds"),
        ({"max_waiting": -1}, "max_waiting must be at least 0"),
        ({"close_timeout": -1}, "close_timeout must be at least 0"),
        ({"startup_wait": float("nan")}, "startup_wait must be at least 0"),
        ({"acquire_timeout": float("inf")}, "acquire_timeout must be"),
    ],
)
def test_settings_that_make_no_pool_are_refused(settings: dict[str, float], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Database("postgresql://localhost/x", **settings)  # pyright: ignore[reportArgumentType] - wrong on purpose
