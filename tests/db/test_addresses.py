"""A name that has several addresses, and one whose addresses change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from app.db import Database, DatabaseUnavailable
from tests.db.pools import get_number, get_pid, pool, until, until_idle
from tests.db.test_hosts import Mute
from tests.network import Network
from tests.resolver import LOOPS, resolving

SILENT = "127.0.0.2"
NOBODY = "127.0.0.3"
Names = dict[str, list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """What names resolve to."""
    names: Names = {}
    for loop in LOOPS:
        monkeypatch.setattr(loop, "getaddrinfo", resolving(names.get, loop.getaddrinfo))
    return names


@pytest.fixture
async def mute(network: Network) -> AsyncIterator[Mute]:
    """A silent server at another address, on the port of the network."""
    async with Mute(address=SILENT, port=network.port) as mute:
        yield mute


@pytest.fixture
def named(network: Network) -> Callable[[], str]:
    """The address of the database by a name."""
    return lambda: network.dsn.replace("127.0.0.1", "db.example")


async def test_a_silent_address_leaves_time_for_the_next_of_its_name(
    named: Callable[[], str], names: Names, mute: Mute
) -> None:
    names["db.example"] = [SILENT, "127.0.0.1"]
    async with pool(named(), connect_timeout=1) as db:
        assert await get_number(db, number=1) == 1
    assert mute.asked == 1


async def test_an_address_that_did_not_answer_is_the_last_for_a_while(
    named: Callable[[], str], names: Names, mute: Mute
) -> None:
    names["db.example"] = [SILENT, "127.0.0.1"]
    async with pool(named(), connect_timeout=1, max_size=3) as db, db.acquire(), db.acquire(), db.acquire():
        assert db.statistics().size == 3
    assert mute.asked == 1


async def test_an_address_where_nobody_listens_is_passed_over(named: Callable[[], str], names: Names) -> None:
    names["db.example"] = [NOBODY, "127.0.0.1"]
    async with pool(named()) as db:
        assert await get_number(db, number=1) == 1


async def test_the_role_that_is_asked_for_is_found_among_the_addresses(
    named: Callable[[], str], names: Names, mute: Mute
) -> None:
    names["db.example"] = [SILENT, NOBODY, "127.0.0.1"]
    async with pool(named() + "&target_session_attrs=prefer-standby", connect_timeout=6) as db:
        assert await get_number(db, number=1) == 1


async def test_each_address_that_failed_is_named_with_its_reason(
    named: Callable[[], str], names: Names, mute: Mute
) -> None:
    names["db.example"] = [SILENT, NOBODY]
    with pytest.raises(DatabaseUnavailable) as told:
        await Database(named(), connect_timeout=0.5).connect()

    assert f"{SILENT}:{mute.port}: no answer in 0.2 s" in str(told.value)
    assert f"{NOBODY}:{mute.port}: Connection refused" in str(told.value)


async def test_a_statement_is_stopped_at_the_address_where_it_runs(
    named: Callable[[], str], names: Names, mute: Mute
) -> None:
    names["db.example"] = [SILENT, "127.0.0.1"]
    async with pool(named(), connect_timeout=1) as db:
        pid = await get_pid(db)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await db.fetchval("select pg_sleep(60)")
        await until_idle(db)
        assert await get_pid(db) == pid


async def test_new_connections_follow_a_name_whose_address_changes(
    named: Callable[[], str], names: Names, network: Network
) -> None:
    names["db.example"] = ["127.0.0.1"]
    async with pool(named(), min_size=0, connect_timeout=1) as db:
        assert await get_number(db, number=1) == 1
        names["db.example"] = [NOBODY]
        db.retire_connections()
        await until(lambda: not db.statistics().size)
        with pytest.raises(DatabaseUnavailable):
            await get_number(db, number=1)
        names["db.example"] = ["127.0.0.1"]
        assert await get_number(db, number=1) == 1
