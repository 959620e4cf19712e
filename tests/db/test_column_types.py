"""Migrations under a running program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from app.db import BindingError, Database, Executor, Queries
from tests.db.ledger import add_entry, create_entries, find_amount

pytestmark = pytest.mark.one_loop

WriteQueries = Callable[[str], Queries]


@pytest.fixture(autouse=True)
async def entries(db: Database) -> None:
    await create_entries(db)
    await add_entry(db, id=1, amount=5)


async def test_columns_that_nobody_reads_come_and_go_without_a_failed_read(db: Database) -> None:
    migrations = [
        "alter table entries add column note text not null default ''",
        "alter table entries drop column note",
        # Reordered, as far as PostgreSQL can: the same columns in another order, under the same name.
        """
        begin;
        alter table entries rename to before;
        create table entries (amount int not null, id int primary key);
        insert into entries (id, amount) select id, amount from before;
        drop table before;
        commit;
        """,
        "alter table entries alter column amount type bigint",
    ]
    done = False

    async def read() -> int:
        reads = 0
        while not done:
            assert await find_amount(db, id=1) == 5
            async with db.transaction() as tx:
                reads += await tx.fetchval("select 1")
        return reads

    readers = [asyncio.create_task(read()) for _ in range(3)]
    for migration in migrations:
        await asyncio.sleep(0.05)
        await db.execute(migration)
    await asyncio.sleep(0.05)
    done = True

    assert all([await reader > 0 for reader in readers])


@pytest.mark.parametrize("reconnect", [False, True])
async def test_a_column_of_another_type_is_an_error_that_names_it(db: Database, reconnect: bool) -> None:
    assert await find_amount(db, id=1) == 5
    await db.execute("alter table entries alter column amount type text")
    if reconnect:
        db.retire_connections()

    for _ in range(2):
        with pytest.raises(BindingError, match=r"find_amount: column 'amount' was int4 and is text"):
            await find_amount(db, id=1)


async def test_a_column_that_changed_back_is_read_again(db: Database) -> None:
    assert await find_amount(db, id=1) == 5
    await db.execute("alter table entries alter column amount type text")
    with pytest.raises(BindingError):
        await find_amount(db, id=1)
    await db.execute("alter table entries alter column amount type int using amount::int")

    assert await find_amount(db, id=1) == 5


async def test_a_transaction_under_a_migration_runs_again(database_url: str) -> None:
    async with Database(database_url, min_size=1, max_size=1) as db:
        assert await db.run(find_amount, id=1) == 5
        await db.execute("alter table entries alter column amount type bigint")

        assert await db.run(find_amount, id=1) == 5


async def test_a_composite_that_grew_is_read_again_and_costs_one_failed_write(
    database_url: str, write_queries: WriteQueries
) -> None:
    queries = write_queries("""
        \n-- name: get_place
        select place from places limit 1;
        \n-- name: add_place
        insert into places select place from places limit 1 returning place;
    """)

    @queries.bind
    async def get_place(db: Executor) -> Any: ...
    @queries.bind
    async def add_place(db: Executor) -> Any: ...

    async with Database(database_url, min_size=1, max_size=1) as db:
        await db.execute("create type place as (name text); create table places (place place)")
        await db.execute("insert into places values (row('here'))")
        assert (await get_place(db))["name"] == (await add_place(db))["name"] == "here"
        await db.execute("alter type place add attribute country text")

        # The driver cannot tell what it got: the statement ran, so it is not run again.
        with pytest.raises(asyncpg.OutdatedSchemaCacheError):
            await add_place(db)
        assert (await add_place(db))["country"] is None
        await db.execute("alter type place add attribute town text")
        assert (await get_place(db))["town"] is None
        assert await db.fetchval("select count(*) from places") == 4


async def test_a_type_of_the_same_name_in_another_schema_is_another_type(
    db: Database, write_queries: WriteQueries
) -> None:
    await db.execute("create schema other; create type mood as enum ('good'); create type other.mood as enum ('good')")
    await db.execute("create table moods (mood mood)")
    queries = write_queries("-- name: list_moods\nselect mood from moods;\n")

    @queries.bind
    async def list_moods(db: Executor) -> list[str]: ...

    assert await list_moods(db) == []
    await db.execute("alter table moods alter column mood type other.mood using mood::text::other.mood")
    with pytest.raises(BindingError, match=r"was public\.mood and is other\.mood"):
        await list_moods(db)
