"""A session whose server became read only, or writable again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from app.db import Connection, Database, Executor, Queries
from app.embedded import EmbeddedPostgres
from tests.db.pools import get_number, get_pid, pool, until
from tests.network import Network

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


async def set_read_only(admin: Any, *, on: bool) -> None:
    """Have all sessions of a server read only, or not, whether they are open already or not."""
    await admin.execute("set default_transaction_read_only = off")
    await admin.execute(f"alter system {'set' if on else 'reset'} default_transaction_read_only {'= on' if on else ''}")
    await admin.execute("select pg_reload_conf()")


@pytest.mark.parametrize("target", ["", "?target_session_attrs=read-write"])
async def test_a_server_that_becomes_read_only_serves_reads_on_and_writes_again_afterwards(
    tmp_path: Path, target: str
) -> None:
    with EmbeddedPostgres(tmp_path / "server", keep=False) as dsn:
        admin = await asyncpg.connect(dsn)
        await admin.execute("create table notes (body text)")
        async with pool(dsn + target, min_size=3, max_size=3, ping_after=0.0) as db:
            await set_read_only(admin, on=True)
            async with asyncio.timeout(20):
                while not await refuses(db):
                    continue
            for number in range(50):
                assert await get_number(db, number=number) == number
            assert await refuses(db)
            assert db.statistics().size == 3

            await set_read_only(admin, on=False)
            async with asyncio.timeout(20):
                while await refuses(db):
                    await asyncio.sleep(0.01)
        await admin.close()


async def refuses(db: Database) -> bool:
    try:
        await db.execute("insert into notes values ('a')")
    except ReadOnly:
        return True
    return False


async def test_a_server_that_stays_read_only_is_asked_now_and_then_and_not_for_each_write(
    db: Database, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first question is asked, and the second is not due before the end.
    monkeypatch.setattr("app.db.pool.switchover._INTERVAL", 600.0)
    await db.execute("create table notes (body text)")
    await make_read_only(db, on=True)
    async with pool(network.dsn, min_size=3, max_size=3) as stale:
        opened = stale.statistics().connects
        accepted = network.connections
        for _ in range(100):
            assert await refuses(stale)
        assert stale.statistics().connects == opened
        assert network.connections - accepted == 1


async def test_a_pool_for_any_host_moves_to_the_one_that_takes_writes(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "a", keep=False) as old, EmbeddedPostgres(tmp_path / "b", keep=False) as new:
        admins = [await asyncpg.connect(each) for each in (old, new)]
        for admin in admins:
            await admin.execute("create table notes (body text)")
        async with pool(both(old, new), min_size=3, max_size=3) as db:
            assert not await refuses(db)
            await set_read_only(admins[0], on=True)
            async with asyncio.timeout(20):
                while await refuses(db) or not await admins[1].fetchval("select count(*) from notes"):
                    await asyncio.sleep(0.01)
                await until(lambda: db.statistics().evictions["read only"] == 3)
            for _ in range(10):
                assert not await refuses(db)
        for admin in admins:
            await admin.close()


def both(old: str, new: str) -> str:
    """One address for two embedded servers: postgresql://postgres@%2Fa:5432/postgres, with the hosts of both."""
    address = urlsplit(old)
    return old.replace(address.netloc, f"{address.netloc},{urlsplit(new).netloc.partition('@')[2]}")
