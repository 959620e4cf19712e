"""A session whose server became read only, or writable again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from app.db import Connection, Database, DatabaseUnavailable, Executor, Queries
from app.embedded import EmbeddedPostgres
from tests.db.pools import get_number, get_pid, pool, until

ReadOnly = asyncpg.ReadOnlySQLTransactionError
Write = Callable[[Database], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Note:
    body: str


async def writes(queries: Queries) -> dict[str, Write]:
    """The ways to write a note."""

    @queries.bind
    async def add_note(db: Executor) -> None: ...

    @queries.bind
    async def copy_notes(db: Executor, *, rows: Iterable[Note]) -> int: ...

    @queries.bind
    def stream_notes(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[str]]: ...

    async def in_a_transaction(db: Database) -> None:
        async with db.transaction() as tx:
            await add_note(tx)

    async def by_stream(db: Database) -> None:
        async with stream_notes(db) as rows:
            assert [row async for row in rows] == ["a"]

    async def by_run_with_token(db: Database) -> None:
        async def nothing(tx: Connection) -> None:
            await get_number(tx, number=1)

        await db.run(nothing, token=uuid4())

    return {
        "bound": add_note,
        "raw": lambda db: db.execute("insert into notes (body) values ('a')"),
        "transaction": in_a_transaction,
        "copy": lambda db: copy_notes(db, rows=[Note("a")]),
        "stream": by_stream,
        "run with a token": by_run_with_token,
    }


STATEMENTS = """
-- name: add_note
insert into notes (body) values ('a');

-- name: copy_notes
copy notes (body) from stdin;

-- name: stream_notes
insert into notes (body) values ('a') returning body;
"""


async def make_read_only(admin: Database, *, on: bool) -> None:
    """What a switchover does to the sessions that are opened from now on."""
    name = await admin.fetchval("select current_database()")
    state = "on" if on else "off"
    await admin.execute(
        f"set transaction_read_only = off; alter database {name} set default_transaction_read_only = {state}"
    )


@pytest.mark.parametrize("way", ["bound", "raw", "transaction", "copy", "stream", "run with a token"])
async def test_a_session_that_refused_to_write_is_replaced(
    db: Database, database_url: str, write_queries: Callable[[str], Queries], way: str
) -> None:
    write = (await writes(write_queries(STATEMENTS)))[way]
    await db.execute("create table notes (body text)")
    await make_read_only(db, on=True)
    async with pool(database_url) as stale:
        await make_read_only(db, on=False)
        with pytest.raises(ReadOnly):
            await write(stale)
        await until(lambda: not stale.statistics().in_use)
        await write(stale)
        assert stale.statistics().evictions == {"read only": 1}


async def test_the_other_sessions_that_are_read_only_are_replaced_with_it(db: Database, database_url: str) -> None:
    await db.execute("create table notes (body text)")
    await make_read_only(db, on=True)
    async with pool(database_url, min_size=3, max_size=3) as stale:
        await make_read_only(db, on=False)
        with pytest.raises(ReadOnly):
            await stale.execute("insert into notes values ('a')")
        async with stale.acquire() as one, stale.acquire() as two, stale.acquire() as three:
            for connection in (one, two, three):
                await connection.execute("insert into notes values ('a')")
        assert stale.statistics().evictions == {"read only": 3}


@pytest.mark.parametrize("begin", ["begin read only", "begin; set transaction read only"])
async def test_a_transaction_that_its_user_made_read_only_costs_no_session(database_url: str, begin: str) -> None:
    async with pool(database_url) as db:
        pid = await get_pid(db)
        with pytest.raises(ReadOnly):
            async with db.transaction(readonly=True) as tx:
                await tx.execute("create table t ()")
        with pytest.raises(ReadOnly):
            async with db.acquire() as connection:
                await connection.execute(begin)
                await connection.execute("create table t ()")
        assert await get_pid(db) == pid
        assert db.statistics().evictions == {}


async def test_a_pool_that_asked_to_be_read_only_keeps_its_sessions(db: Database, database_url: str) -> None:
    await make_read_only(db, on=True)
    async with pool(database_url + "?target_session_attrs=read-only") as reader:
        pid = await get_pid(reader)
        with pytest.raises(ReadOnly):
            await reader.execute("create table t ()")
        assert await get_pid(reader) == pid
    async with pool(database_url) as reader:
        pid = await get_pid(reader)
        with pytest.raises(ReadOnly):
            async with reader.transaction(readonly=True) as tx:
                await tx.execute("create table t ()")
        assert await get_pid(reader) == pid


async def test_a_pool_that_asked_to_write_leaves_a_server_that_became_read_only(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "server", keep=False) as dsn:
        admin = await asyncpg.connect(dsn)
        async with pool(dsn + "?target_session_attrs=read-write", ping_after=0.0) as db:
            await admin.execute("alter system set default_transaction_read_only = on")
            await admin.execute("select pg_reload_conf()")
            with pytest.raises(DatabaseUnavailable, match="read-write"):
                while True:
                    await get_number(db, number=1)
            await admin.execute("set default_transaction_read_only = off")
            await admin.execute("alter system reset default_transaction_read_only")
            await admin.execute("select pg_reload_conf()")
            while await admin.fetchval("show default_transaction_read_only") == "on":
                continue
            while True:
                try:
                    assert await get_number(db, number=1) == 1
                    break
                except DatabaseUnavailable:
                    continue
        await admin.close()


@pytest.mark.parametrize("setting", ["idle_session_timeout", "idle_in_transaction_session_timeout"])
async def test_a_session_that_the_server_ended_is_lost_and_replaced(database_url: str, setting: str) -> None:
    async with pool(database_url, server_settings={setting: "100ms"}) as db:
        pid = await get_pid(db)
        if setting == "idle_session_timeout":
            await until(lambda: "dead" in db.statistics().evictions)
        else:
            with pytest.raises(DatabaseUnavailable):
                async with db.transaction() as tx:
                    while True:
                        await get_number(tx, number=1)
                        await tx.fetchval("select pg_sleep(0)")
                        await until(tx.driver.is_closed)
        assert await get_pid(db) != pid
