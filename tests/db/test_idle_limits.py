"""A server that ends sessions which do nothing, while a statement is on its way to one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from app.db import CommitUnknown, Connection, Database, DatabaseUnavailable
from tests.db.pools import add_note, pool
from tests.network import Network

LIMITS = ("idle_session_timeout", "idle_in_transaction_session_timeout")


@pytest.fixture
async def strict(db: Database, network: Network) -> AsyncIterator[Database]:
    """A pool of one session, which the server ends after a tenth of a second without a statement."""
    await db.execute("create table notes (body text)")
    name = await db.fetchval("select current_database()")
    for limit in LIMITS:
        await db.execute(f"alter database {name} set {limit} = '100ms'")
    async with pool(network.dsn, ping_after=60.0) as strict:
        yield strict


def do_nothing() -> None:
    """Let the limit pass, and what the server says arrive after what is sent next."""
    time.sleep(0.4)


async def test_a_statement_that_met_the_end_of_its_session_is_known_not_to_be_executed(
    strict: Database, db: Database
) -> None:
    do_nothing()
    with pytest.raises(DatabaseUnavailable) as lost:
        await add_note(strict, body="a")

    assert not lost.value.may_be_done
    assert await add_note(strict, body="b") == "b"
    assert await db.fetchval("select array_agg(body) from notes") == ["b"]


async def test_a_session_whose_end_was_told_and_whose_connection_is_still_open_is_replaced(
    strict: Database, db: Database, network: Network
) -> None:
    network.keeps_open = True
    await asyncio.sleep(0.4)
    with pytest.raises(DatabaseUnavailable) as lost:
        await add_note(strict, body="a")

    assert not lost.value.may_be_done
    assert await add_note(strict, body="b") == "b"
    assert await db.fetchval("select array_agg(body) from notes") == ["b"]
    # The end of the pool would wait for the goodbye of the session that is still open.
    network.drop()


async def write_and_wait(tx: Connection) -> None:
    await add_note(tx, body="a")
    do_nothing()


async def test_a_transaction_that_met_the_end_of_its_session_stored_nothing(strict: Database, db: Database) -> None:
    with pytest.raises(DatabaseUnavailable) as lost:
        async with strict.transaction() as tx:
            await write_and_wait(tx)
            await add_note(tx, body="c")

    assert not lost.value.may_be_done
    async with strict.transaction() as tx:
        await add_note(tx, body="b")
    assert await db.fetchval("select array_agg(body) from notes") == ["b"]


async def test_a_commit_that_met_the_end_of_its_session_is_known_to_have_stored_nothing(
    strict: Database, db: Database
) -> None:
    with pytest.raises(DatabaseUnavailable) as lost:
        async with strict.transaction() as tx:
            await write_and_wait(tx)

    assert not isinstance(lost.value, CommitUnknown)
    assert await db.fetchval("select count(*) from notes") == 0


async def test_a_pool_goes_on_with_new_sessions(strict: Database) -> None:
    for _ in range(5):
        do_nothing()
        with pytest.raises(DatabaseUnavailable):
            await add_note(strict, body="a")
        assert await add_note(strict, body="b") == "b"
    statistics = strict.statistics()
    assert (statistics.in_use, statistics.evictions["fatal"]) == (0, 5)
