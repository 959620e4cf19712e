"""Deadlines of statements: for the caller and on the server."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from app.db import Database, PoolTimeout, StatementTimeout
from tests.db.ledger import create_entries, wait_and_count
from tests.db.pools import until_idle

SLEEPING = """
    select count(*) from pg_stat_activity
    where datname = current_database() and state = 'active' and query like '%ledger.wait_and_count%'
    and pid <> pg_backend_pid()
"""


@pytest.fixture(autouse=True)
async def entries(db: Database) -> None:
    await create_entries(db)
    # No deadline is spent on the reset after that.
    await until_idle(db)


async def test_a_statement_in_time_is_left_alone(db: Database) -> None:
    assert await wait_and_count(db.within(30), seconds=0) == 0


async def test_a_statement_is_stopped_at_its_deadline_on_the_server_too(db: Database) -> None:
    with pytest.raises(StatementTimeout, match="wait_and_count"):
        await wait_and_count(db.within(0.1), seconds=60)

    async with asyncio.timeout(30):
        while await db.fetchval(SLEEPING):
            await asyncio.sleep(0.01)
    assert await wait_and_count(db, seconds=0) == 0


async def test_statements_of_one_deadline_share_it(db: Database) -> None:
    async with db.acquire() as connection:
        soon = connection.within(0.5)
        async with asyncio.timeout(30):
            with pytest.raises(StatementTimeout):
                # Each of them takes no time at all.
                while True:
                    await wait_and_count(soon, seconds=0)


async def test_waiting_for_a_connection_counts(database_url: str) -> None:
    async with Database(database_url, min_size=1, max_size=1) as one, one.acquire():
        waiting = asyncio.ensure_future(wait_and_count(one.within(0.1), seconds=0))
        with pytest.raises(PoolTimeout):
            await waiting


async def test_the_servers_own_limit_is_the_same_error(database_url: str) -> None:
    async with Database(database_url, min_size=1, statement_timeout=0.1) as db:
        with pytest.raises(StatementTimeout, match="the server stopped"):
            await wait_and_count(db, seconds=60)
        async with db.acquire() as connection:
            with pytest.raises(StatementTimeout) as stopped:
                await connection.fetch("select pg_sleep(60)")

    assert isinstance(stopped.value.__cause__, asyncpg.QueryCanceledError)


async def test_a_deadline_counts_the_wait_for_a_connection(database_url: str) -> None:
    async with Database(database_url, min_size=1, max_size=1, acquire_timeout=60) as db, db.acquire():
        waiting = asyncio.create_task(wait_and_count(db.within(0.1), seconds=0))
        async with asyncio.timeout(20):
            with pytest.raises(PoolTimeout):
                await waiting
