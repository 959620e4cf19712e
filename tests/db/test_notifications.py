"""LISTEN and NOTIFY on a connection that comes back."""

from __future__ import annotations

import asyncio

import pytest

from app.db import Database, DatabaseUnavailable, Gap, Notification
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
