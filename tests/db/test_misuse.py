"""Two tasks on one connection; a pool in another event loop, thread or process than its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from app.db import Connection, ConnectionBusy, Database, DatabaseUnavailable, Executor, Queries, WrongEventLoop
from tests.db.pools import get_number, get_pid, list_series, pool, sleep, stream_series, until, wait_for_turn
from tests.db.sabotage import LOOPS

Use = Callable[[Connection], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Note:
    body: str


async def stream(connection: Connection) -> None:
    async with stream_series(connection, number=3) as rows:
        assert [row async for row in rows]


async def begin(connection: Connection) -> None:
    async with connection.transaction():
        pass


async def in_time(connection: Connection) -> None:
    await get_number(connection.within(5), number=1)


USES: dict[str, Use] = {
    "bound": lambda connection: get_number(connection, number=1),
    "bound in time": in_time,
    "prepared anew": lambda connection: list_series(connection, number=2),
    "execute": lambda connection: connection.execute("select 1"),
    "execute in time": lambda connection: connection.execute("select 1", timeout=5),
    "execute with arguments": lambda connection: connection.execute("select $1::int", 1),
    "executemany": lambda connection: connection.executemany("select $1::int", [(1,), (2,)]),
    "fetch": lambda connection: connection.fetch("select 1"),
    "fetchrow": lambda connection: connection.fetchrow("select 1", timeout=5),
    "fetchval": lambda connection: connection.fetchval("select 1"),
    "stream": stream,
    "transaction": begin,
}


async def until_busy(db: Database) -> None:
    """Wait until another session of this database runs a statement that ends by itself in no short time."""
    waits = "datname = current_database() and wait_event in ('PgSleep', 'advisory')"
    async with asyncio.timeout(60):
        while not await db.fetchval(f"select count(*) from pg_stat_activity where {waits}"):
            continue


@asynccontextmanager
async def turn_taken(db: Database) -> AsyncGenerator[None]:
    """Whoever waits for its turn waits until the block ends."""
    async with db.transaction() as holder:
        await wait_for_turn(holder)
        yield


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("first", ["bound", "raw", "raw in time", "in a transaction"])
async def test_a_second_task_on_a_connection_is_told_so_and_the_first_goes_on(
    db: Database, first: str, use: str
) -> None:
    async def run(connection: Connection) -> object:
        if first == "bound":
            return await wait_for_turn(connection)
        if first == "in a transaction":
            async with connection.transaction() as tx:
                return await wait_for_turn(tx)
        waiting = "select 1 from pg_advisory_xact_lock(1)"
        return await connection.fetchval(waiting, timeout=60 if first == "raw in time" else None)

    async with db.acquire() as connection:
        async with turn_taken(db):
            running = asyncio.create_task(run(connection))
            await until_busy(db)
            with pytest.raises(ConnectionBusy, match="acquire"):
                await USES[use](connection)
        assert await running == 1
        await USES[use](connection)


async def test_a_copy_shares_its_connection_with_nobody(db: Database, write_queries: Callable[[str], Queries]) -> None:
    @write_queries("-- name: copy_notes\ncopy notes (body) from stdin").bind
    async def copy_notes(db: Executor, *, rows: Iterable[Note] | AsyncIterator[Note]) -> int: ...

    await db.execute("create table notes (body text)")
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[Note]:
        begun.set()
        await go_on.wait()
        yield Note("a")

    async with db.acquire() as connection:
        copying = asyncio.create_task(copy_notes(connection, rows=slowly()))
        await begun.wait()
        for use in USES.values():
            with pytest.raises(ConnectionBusy):
                await use(connection)
        with pytest.raises(ConnectionBusy):
            await copy_notes(connection, rows=[Note("b")])
        go_on.set()
        assert await copying == 1

        async with turn_taken(db):
            running = asyncio.create_task(wait_for_turn(connection))
            await until_busy(db)
            with pytest.raises(ConnectionBusy):
                await copy_notes(connection, rows=[Note("b")])
        await running
    assert await db.fetchval("select count(*) from notes") == 1


async def test_of_two_transactions_at_once_on_a_connection_the_first_is_kept(db: Database) -> None:
    await db.execute("create table notes (body text)")

    async def add(connection: Connection, body: str) -> None:
        async with connection.transaction() as tx:
            await tx.execute("insert into notes values ($1)", body)

    async with db.acquire() as connection:
        results = await asyncio.gather(add(connection, "a"), add(connection, "b"), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), ConnectionBusy]
    assert await db.fetchval("select string_agg(body, ',') from notes") == "a"


async def test_a_block_that_ends_under_a_statement_of_another_task_says_so(db: Database, database_url: str) -> None:
    running: list[asyncio.Task[int]] = []
    async with pool(database_url) as small:
        with pytest.raises(ConnectionBusy):
            async with small.transaction() as tx:
                running.append(asyncio.create_task(sleep(tx, seconds=20)))
                await until_busy(db)
        with pytest.raises(DatabaseUnavailable, match="its block ended while this task was still using it"):
            await running[0]
        assert await get_number(small, number=1) == 1


async def test_the_next_holder_never_meets_a_statement_of_the_last_one(db: Database, database_url: str) -> None:
    async with pool(database_url) as small:
        async with small.acquire() as connection:
            pid = await get_pid(connection)
            running = asyncio.create_task(sleep(connection, seconds=20))
            await until_busy(db)
        assert await get_pid(small) != pid
        with pytest.raises(DatabaseUnavailable, match="its block ended"):
            await running


def uses_of(db: Database) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Ways to use a Database."""

    async def enter(manager: Any) -> None:
        async with manager:
            pass

    return {
        "bound": lambda: get_number(db, number=1),
        "raw": lambda: db.fetchval("select 1"),
        "acquire": lambda: enter(db.acquire()),
        "transaction": lambda: enter(db.transaction()),
        "stream": lambda: enter(stream_series(db, number=1)),
        "listen": lambda: enter(db.listen("news")),
        "lock": lambda: enter(db.lock("news")),
        "close": db.close,
    }


async def refused(db: Database, connection: Connection, say: str) -> None:
    """Every use of both is refused at once."""
    for use in uses_of(db).values():
        with pytest.raises(WrongEventLoop, match=say):
            async with asyncio.timeout(5):
                await use()
    for name, use in USES.items():
        with pytest.raises(WrongEventLoop, match=say):
            async with asyncio.timeout(5):
                await use(connection)
        assert name


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("idle", [True, False])
def test_another_event_loop_is_told_at_once(database_url: str, loop: str, *, idle: bool) -> None:
    db = Database(database_url, min_size=2 if idle else 1, max_size=2)
    with asyncio.Runner(loop_factory=LOOPS[loop]) as own:
        own.run(db.connect())
        block = db.acquire()
        connection = own.run(block.__aenter__())
        with asyncio.Runner(loop_factory=LOOPS[loop]) as other:
            other.run(refused(db, connection, "another event loop"))
        thread = threading.Thread(target=asyncio.run, args=[refused(db, connection, "another event loop")])
        thread.start()
        own.run(asyncio.to_thread(thread.join))
        assert own.run(get_number(connection, number=1)) == 1
        own.run(block.__aexit__(None, None, None))
        assert own.run(get_number(db, number=1)) == 1
        own.run(db.close())


FORKED = """
import asyncio, os, sys
import uvloop
from app.db import Database, WrongEventLoop
from tests.db.pools import get_number

async def child(db, connection):
    for use in (get_number(db, number=1), db.fetchval("select 1"), get_number(connection, number=1),
                connection.execute("select 1")):
        try:
            await asyncio.wait_for(use, 5)
        except WrongEventLoop as error:
            assert "forked" in str(error), error
        else:
            return 1
    await db.close()
    async with db:
        assert await get_number(db, number=3) == 3
    return 0

async def main():
    async with Database(sys.argv[1], min_size=2, max_size=2) as db, db.acquire() as connection:
        pid = os.fork()
        if not pid:
            try:
                code = asyncio.run(child(db, connection))
            except BaseException as error:
                print(repr(error), file=sys.stderr)
                code = 2
            os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, status
        assert await get_number(db, number=1) == 1
        assert await get_number(connection, number=2) == 2
        assert db.statistics().evictions == {}

{"asyncio": asyncio, "uvloop": uvloop}[sys.argv[2]].run(main())
"""


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_forked_process_is_told_at_once_and_may_open_its_own(database_url: str, loop: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", FORKED, database_url, loop)
    async with asyncio.timeout(60):
        assert await process.wait() == 0


async def test_a_closed_pool_opens_again_in_another_loop(database_url: str) -> None:
    async with pool(database_url) as db:
        assert await get_number(db, number=1) == 1
    async with db:
        await until(lambda: db.statistics().idle)
        assert await get_number(db, number=1) == 1
