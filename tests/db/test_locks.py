"""Advisory locks by name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.db import Database, LockLost, StatementTimeout
from tests.db.pools import pool

END_HOLDERS = """
    select pg_terminate_backend(pid) from pg_locks join pg_database on oid = database
    where locktype = 'advisory' and datname = current_database()
"""


async def test_one_at_a_time_holds_a_lock(db: Database) -> None:
    inside = 0

    async def work() -> None:
        nonlocal inside
        async with db.lock("report", timeout=30):
            inside += 1
            await asyncio.sleep(0.02)
            assert inside == 1
            inside -= 1

    await asyncio.gather(*(work() for _ in range(4)))


async def test_locks_of_other_names_are_free(db: Database) -> None:
    async with db.lock("report"), db.try_lock("report") as same, db.try_lock("mail") as other:
        assert (same, other) == (False, True)


@pytest.mark.parametrize("error", [None, KeyError])
async def test_a_lock_is_free_after_its_block(db: Database, error: type[Exception] | None) -> None:
    async def hold() -> None:
        async with db.lock("report"):
            if error:
                raise error

    await asyncio.gather(hold(), return_exceptions=True)
    async with db.lock("report", timeout=30):
        pass


async def test_waiting_for_a_lock_has_an_end_and_leaves_nothing(database_url: str) -> None:
    # Both connections are there: the time to open one is not what is waited for here.
    async with pool(database_url, min_size=2, max_size=2) as db:
        async with asyncio.timeout(20), db.lock("report"):
            with pytest.raises(StatementTimeout):
                async with db.lock("report", timeout=1.0):
                    raise AssertionError
        async with db.lock("report", timeout=30):
            assert await db.fetchval("show statement_timeout") == "30s"


async def test_a_block_whose_lock_is_lost_is_cancelled(db: Database) -> None:
    async with asyncio.timeout(30):
        with pytest.raises(LockLost, match="the connection that held the lock 'report' broke"):
            async with db.lock("report"):
                await db.execute(END_HOLDERS)
                await asyncio.sleep(60)


async def test_a_block_that_ends_just_when_its_lock_is_lost_is_told(db: Database) -> None:
    with pytest.raises(LockLost):
        async with db.lock("report"):
            await db.execute(END_HOLDERS)


async def test_a_time_out_raised_in_the_block_stays_what_it_is(db: Database) -> None:
    with pytest.raises(TimeoutError, match="mine") as raised:
        async with db.lock("report"):
            raise TimeoutError("mine")
    assert type(raised.value) is TimeoutError


async def test_a_time_out_around_the_block_stays_what_it_is(db: Database) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), db.lock("report"):
            await asyncio.sleep(60)
    held: Any = None
    async with asyncio.timeout(30):
        while not held:
            async with db.try_lock("report") as held:
                pass
