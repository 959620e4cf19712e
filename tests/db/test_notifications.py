"""LISTEN and NOTIFY on a connection that comes back."""

from __future__ import annotations

import asyncio

import pytest

from app.db import Database, DatabaseUnavailable, Gap, NotConnected, Notification
from tests.db.pools import until
from tests.network import Network

LISTENERS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and query ilike 'listen%'
"""


async def test_what_is_sent_on_a_channel_is_received_in_order(db: Database) -> None:
    async with db.listen("News", "mail") as received:
        await db.execute("""select pg_notify('News', 'one'), pg_notify('other', 'x'); notify mail, 'two'""")
        first, second = await anext(received), await anext(received)

    assert isinstance(first, Notification) and isinstance(second, Notification)
    assert [(each.channel, each.payload) for each in (first, second)] == [("News", "one"), ("mail", "two")]


async def test_it_needs_no_connection_of_the_pool(db: Database) -> None:
    before = db.statistics().size
    async with db.listen("news"):
        assert db.statistics().size == before


async def test_a_lost_connection_comes_back_with_a_gap(db: Database) -> None:
    async with asyncio.timeout(30), db.listen("news") as received:
        for payload in ("one", "two"):
            assert await db.fetch(LISTENERS)
            gap = await anext(received)
            assert isinstance(gap, Gap) and gap.seconds >= 0
            await db.execute(f"notify news, '{payload}'")
            notification = await anext(received)
            assert isinstance(notification, Notification) and notification.payload == payload


async def test_a_network_that_is_away_for_a_while_is_waited_for(database_url: str) -> None:
    async with (
        asyncio.timeout(30),
        Network(database_url) as network,
        Database(network.dsn, min_size=1) as far,
        far.listen("news") as received,
    ):
        await network.cut()
        await asyncio.sleep(0.2)
        await network.mend()
        assert isinstance(await anext(received), Gap)
        await far.execute("notify news, 'again'")
        assert isinstance(await anext(received), Notification)


async def test_a_reader_that_is_too_slow_learns_of_it(db: Database) -> None:
    async with asyncio.timeout(60), db.listen("news") as received:
        await db.execute("select pg_notify('news', n::text) from generate_series(1, 10100) as n")
        while not isinstance(await anext(received), Gap):
            await asyncio.sleep(0.5)


async def test_the_first_connection_has_to_succeed(database_url: str) -> None:
    async with Network(database_url) as network, Database(network.dsn, min_size=1) as far:
        await network.cut()
        with pytest.raises(DatabaseUnavailable):
            async with far.listen("news"):
                raise AssertionError
        await network.mend()


async def test_a_channel_has_to_be_named(db: Database) -> None:
    with pytest.raises(ValueError, match="channel"):
        async with db.listen():
            raise AssertionError


async def test_a_network_that_swallows_everything_is_a_gap_too(network: Network) -> None:
    async with Database(network.dsn, min_size=0, keepalive=0.1) as db, db.listen("news") as received:
        network.hold()
        before = network.connections
        await until(lambda: network.connections > before)
        network.release()
        async with asyncio.timeout(20):
            gap = await anext(received)

    assert isinstance(gap, Gap)


@pytest.mark.parametrize(
    "name", ["queue:" + "x" * 58, "\u00e4" * 32, "", "a\0b"], ids=["ascii", "umlauts", "empty", "nul"]
)
async def test_a_name_that_would_be_cut_off_is_refused(db: Database, name: str) -> None:
    with pytest.raises(ValueError, match="bytes"):
        async with db.listen("news", name):
            pass


async def test_a_name_of_63_bytes_receives(db: Database) -> None:
    name = "\u00e4" * 31 + "x"
    async with db.listen(name) as received, asyncio.timeout(20):
        await db.execute(f"notify \"{name}\", 'hello'")
        item = await anext(received)
        assert isinstance(item, Notification)
        assert item.payload == "hello"


async def test_close_ends_listeners_after_what_they_received(database_url: str) -> None:
    seen: list[object] = []
    listening = asyncio.Barrier(3)
    db = Database(database_url, min_size=1)
    await db.connect()

    async def read() -> None:
        async with db.listen("news") as received:
            await listening.wait()
            async for item in received:
                seen.append(item)
            async for item in received:
                seen.append(item)

    reading = [asyncio.create_task(read()) for _ in range(2)]
    async with asyncio.timeout(20):
        await listening.wait()
        await db.execute("notify news, 'last'")
        while len(seen) < 2:
            await asyncio.sleep(0.005)
        await db.close()
        await asyncio.gather(*reading)
    assert len(seen) == 2


async def test_a_listener_that_begins_while_the_pool_closes_says_so(network: Network) -> None:
    db = Database(network.dsn, min_size=1)
    await db.connect()
    network.hold()
    connections = network.connections
    beginning = asyncio.create_task(db.listen("news").__aenter__())
    await until(lambda: network.connections > connections)
    closing = asyncio.create_task(db.close())
    await asyncio.sleep(0)
    network.release()
    with pytest.raises(NotConnected):
        await beginning
    await closing


async def test_a_listener_whose_task_is_cancelled_leaves_no_session(db: Database) -> None:
    async def read() -> None:
        async with db.listen("news") as received:
            async for _ in received:
                pass

    sessions = "select count(*) from pg_stat_activity where datname = current_database() and query = 'LISTEN \"news\"'"
    async with asyncio.timeout(20):
        reading = asyncio.create_task(read())
        while not await db.fetchval(sessions):
            continue
        reading.cancel()
        # Once more while it ends.
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        while await db.fetchval(sessions):
            continue
