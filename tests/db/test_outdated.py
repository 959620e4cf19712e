"""What is cached of types and statements is dropped once a migration has made it wrong: nothing is stored otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from app.db import BindingError, Connection, Database, Executor, Queries

pytestmark = pytest.mark.one_loop

Use = Callable[[Executor, Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Thing:
    id: int
    v: Any


class Things:
    """Every way in which a value comes and goes."""

    def __init__(self, write_queries: Callable[[str], Queries]) -> None:
        queries = write_queries("""
            \n-- name: add
            insert into things (id, v) values (1, :v);
            \n-- name: find
            select v from things;
            \n-- name: copy
            copy things (id, v) from stdin;
            \n-- name: stream
            select v from things;
        """)

        @queries.bind
        async def add(db: Executor, *, v: Any) -> int: ...
        @queries.bind
        async def find(db: Executor) -> list[Any]: ...
        @queries.bind
        async def copy(db: Executor, *, rows: Iterable[Thing] | AsyncIterable[Thing]) -> int: ...
        @queries.bind
        def stream(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[Any]]: ...

        self.add, self.find, self.copy, self.stream = add, find, copy, stream

    async def write(self, db: Executor, v: Any) -> None:
        await self.add(db, v=v)

    async def read(self, db: Executor, v: Any) -> Any:
        await self.find(db)

    async def copied(self, db: Executor, v: Any) -> Any:
        await self.copy(db, rows=[Thing(2, v)])

    async def streamed(self, db: Executor, v: Any) -> Any:
        async with self.stream(db) as rows:
            return [row async for row in rows]

    async def raw(self, db: Connection | Database, v: Any) -> Any:
        await db.execute("insert into things (id, v) values (3, $1)", v)


@pytest.fixture
def things(write_queries: Callable[[str], Queries]) -> Things:
    return Things(write_queries)


@pytest.fixture
async def one_connection(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, min_size=1, max_size=1) as db:
        yield db


@pytest.fixture
async def migration(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The connection of another program."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


USES = ["write", "read", "copied", "streamed", "raw"]
KIND = "create type kind as {}; create table things (id int, v kind)"
# What there was and a value of it, what a migration makes of it and a value of that.
CHANGES = {
    "int, then numeric": (
        "create table things (id int, v int)",
        100,
        "alter table things alter v type numeric(9, 2)",
        7,
    ),
    "int, then float": ("create table things (id int, v int)", 100, "alter table things alter v type float8", 7),
    "int, then bigint": ("create table things (id int, v int)", 100, "alter table things alter v type int8", 7),
    "text, then bytea": (
        "create table things (id int, v text)",
        "a",
        "alter table things alter v type bytea using ''",
        b"",
    ),
    "an enum, rebuilt": (
        KIND.format("enum ('a')"),
        "a",
        "drop table things; drop type kind;" + KIND.format("enum ('b')"),
        "b",
    ),
    "an enum with a new label": (KIND.format("enum ('a')"), "a", "alter type kind add value 'b'", "b"),
    "an array of an enum, rebuilt": (
        KIND.format("enum ('a')").replace("v kind", "v kind[]"),
        ["a"],
        "drop table things; drop type kind;" + KIND.format("enum ('b')").replace("v kind", "v kind[]"),
        ["b"],
    ),
    "a composite that grew": (KIND.format("(a int)"), (1,), "alter type kind add attribute b int cascade", (1, 2)),
    "a composite that shrank": (
        KIND.format("(a int, b int)"),
        (1, 2),
        "alter type kind drop attribute b cascade",
        (1,),
    ),
    "a composite, retyped": (
        KIND.format("(a int)"),
        (1,),
        "drop table things; alter type kind alter attribute a type text; create table things (id int, v kind)",
        ("1",),
    ),
    "a range, rebuilt": (
        KIND.format("range (subtype = int8)"),
        asyncpg.Range(1, 2),
        "drop table things; drop type kind;" + KIND.format("range (subtype = int8)"),
        asyncpg.Range(2, 3),
    ),
    "a domain, rebuilt": (
        "create domain kind as int; create table things (id int, v kind)",
        1,
        "drop table things; drop domain kind; create domain kind as text; create table things (id int, v kind)",
        "b",
    ),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("change", CHANGES)
async def test_a_changed_type_fails_once_at_most_and_stores_what_it_was_given(
    one_connection: Database, migration: asyncpg.Connection, things: Things, use: str, change: str
) -> None:
    db, run = one_connection, getattr(things, use)
    before, old, after, new = CHANGES[change]
    await migration.execute(before)
    for _ in range(2):
        await run(db, old)

    await migration.execute(after)

    failures = await failing(lambda: run(db, new), times=3)
    assert failures in ([], [0]) if use in {"raw", "read", "streamed"} else failures == []
    if use in {"write", "copied", "raw"}:
        await migration.reset()
        [*_, stored] = await migration.fetch("select v from things order by v is null")
        assert stored[0] == new if not isinstance(new, tuple) else tuple(stored[0]) == new


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("change", CHANGES)
async def test_in_a_transaction_it_fails_once_at_most(
    one_connection: Database, migration: asyncpg.Connection, things: Things, use: str, change: str
) -> None:
    db, run = one_connection, getattr(things, use)
    before, old, after, new = CHANGES[change]

    async def in_transaction(value: object) -> None:
        async with db.transaction() as tx:
            await run(tx, value)

    await migration.execute(before)
    for _ in range(2):
        await in_transaction(old)

    await migration.execute(after)

    assert await failing(lambda: in_transaction(new), times=3) in ([], [0])


async def failing(step: Callable[[], Awaitable[Any]], *, times: int) -> list[int]:
    """Which of so many runs, from 0, fail; a column that is another one to its reader stays an error that says so."""
    failures: list[int] = []
    for number in range(times):
        try:
            await step()
        except BindingError as error:
            assert "since a migration; the row type was written for the old one" in str(error)
        except Exception:
            failures.append(number)
    return failures


async def test_a_copy_holds_up_a_migration_that_would_change_its_types(
    one_connection: Database, migration: asyncpg.Connection, things: Things
) -> None:
    await migration.execute("create table things (id int, v int); set lock_timeout = 50")

    async def rows() -> AsyncIterator[Thing]:
        with pytest.raises(asyncpg.LockNotAvailableError):
            await migration.execute("alter table things alter v type int8")
        yield Thing(1, 7)

    assert await things.copy(one_connection, rows=rows()) == 1
    await migration.execute("alter table things alter v type int8")


@pytest.mark.parametrize(
    "sql",
    [
        "discard all",
        "DISCARD /* all of them */ ALL",
        "deallocate all",
        "select 1; deallocate all; select 2",
        "do $$ begin execute 'deallo' || 'cate all'; end $$",
    ],
)
async def test_dropped_statements_are_prepared_again(one_connection: Database, things: Things, sql: str) -> None:
    db = one_connection
    await db.execute("create table things (id int, v int)")
    for _ in range(3):
        await things.write(db, 1)
        await db.execute("insert into things (id, v) values (3, $1)", 1)
        await db.execute(sql)

        await things.write(db, 1)
        await db.execute("insert into things (id, v) values (3, $1)", 1)
        async with db.acquire() as connection:
            await connection.execute(sql)
            await things.write(connection, 1)
    assert await db.fetchval("select count(*) from things") == 15


async def test_json_comes_and_goes_inside_composites_records_arrays_and_copy(one_connection: Database) -> None:
    db = one_connection
    await db.execute("create type pair as (a json, b jsonb); create table things (id int, v jsonb, p pair, l jsonb[])")
    value = {"a": [1, None, "é", {"b": "\u2028"}]}
    row = (1, value, ([1], value), [value, None, "x"])

    await db.execute("insert into things values ($1, $2, $3, $4)", *row)
    async with db.acquire() as connection:
        await connection.driver.copy_records_to_table("things", records=[row])

    for found in await db.fetch("select * from things"):
        assert (found["id"], found["v"], tuple(found["p"]), found["l"]) == row
    assert await db.fetchval("select row(1, '{\"a\": 1}'::jsonb, '[2]'::json)") == (1, {"a": 1}, [2])


async def test_a_record_is_read_whatever_ran_before(one_connection: Database, write_queries: Any) -> None:
    db = one_connection
    await db.execute("create type mood as enum ('fine'); create type pair as (a mood, b mood[])")
    queries = write_queries("""
        \n-- name: get_builtin
        select row(1, array[1, 2], array['x'], '[1,2)'::int4range, array['{"a": 1}'::jsonb], array[now()]);
        \n-- name: get_own
        select row('fine'::mood, array['fine'::mood], row('fine', array['fine'])::pair);
    """)

    @queries.bind
    async def get_builtin(db: Executor) -> Any: ...
    @queries.bind
    async def get_own(db: Executor) -> Any: ...

    assert (await get_builtin(db))[:3] == (1, [1, 2], ["x"])
    assert (await get_builtin(db))[4] == [{"a": 1}]
    assert (await get_own(db))[:2] == ("fine", ["fine"])
