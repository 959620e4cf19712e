"""The pool: how it opens and closes, who gets a connection, and what happens when one is lost."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from app.db import (
    Connection,
    Database,
    DatabaseUnavailable,
    Executor,
    NotConnected,
    PoolTimeout,
    Queries,
    StatementTimeout,
)
from tests.databases import replace_database

Small = Callable[..., AbstractAsyncContextManager[Database]]


@pytest.fixture
def small(database_url: str) -> Small:
    """Opens a Database of a single connection, so that the next holder gets the same one."""

    @asynccontextmanager
    async def small(**options: Any) -> AsyncGenerator[Database]:
        async with Database(database_url, min_size=1, max_size=1, **options) as database:
            yield database

    return small


@pytest.fixture
def get_pid(tmp_path: Path) -> Callable[[Executor], Any]:
    """A bound function: which server process serves the connection."""
    path = tmp_path / "servers.sql"
    path.write_text("-- name: get_pid\nselect pg_backend_pid()")

    @Queries(path).bind
    async def get_pid(db: Executor) -> int: ...

    return get_pid


async def block(manager: AbstractAsyncContextManager[object]) -> None:
    """Enter and leave."""
    async with manager:
        pass


def uses(db: Database, get_pid: Callable[[Executor], Any]) -> list[Callable[[], Any]]:
    """Everything that needs an open Database."""
    return [
        lambda: get_pid(db),
        lambda: block(db.acquire()),
        lambda: block(db.transaction()),
        lambda: db.execute("select 1"),
        lambda: db.fetch("select 1"),
        lambda: db.fetchrow("select 1"),
        lambda: db.fetchval("select 1"),
    ]


def kill(dsn: str, pid: int) -> None:
    """End a server process, without this process's event loop noticing before it runs again."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute("select pg_terminate_backend(%s, 10000)", [pid]).fetchone()
    assert row == (True,)


# Opening and closing


async def test_a_database_that_was_never_opened_says_how_to_open_it(
    database_url: str, get_pid: Callable[[Executor], Any]
) -> None:
    for use in uses(Database(database_url), get_pid):
        with pytest.raises(NotConnected, match=r"`await db\.connect\(\)`, or `async with Database"):
            await use()


async def test_a_closed_database_lends_nothing(database_url: str, get_pid: Callable[[Executor], Any]) -> None:
    async with Database(database_url, min_size=1) as db:
        assert await get_pid(db)

    for use in uses(db, get_pid):
        with pytest.raises(NotConnected):
            await use()


async def test_a_database_is_opened_once(small: Small) -> None:
    async with small() as db:
        with pytest.raises(NotConnected, match="this Database is open already"):
            await db.connect()
        assert await db.fetchval("select 1") == 1


async def test_a_database_can_be_closed_twice_or_without_being_opened(database_url: str) -> None:
    db = Database(database_url, min_size=1)

    await db.close()
    await db.connect()
    await db.close()
    await db.close()


async def test_a_closed_database_can_be_opened_again(database_url: str, get_pid: Callable[[Executor], Any]) -> None:
    db = Database(database_url, min_size=1)
    pids: set[int] = set()
    for _ in range(2):
        async with db as opened:
            assert opened is db
            pids.add(await get_pid(db))

    assert len(pids) == 2


async def test_a_database_closes_its_connections(db: Database, database_url: str) -> None:
    count = "select count(*) from pg_stat_activity where application_name = 'closing' and datname = current_database()"
    other = Database(database_url, min_size=3, application_name="closing")
    await other.connect()
    opened = await db.fetchval(count)
    await other.close()

    assert opened == 3
    for _ in range(1000):
        # The server notices a moment after the connection is closed here.
        if await db.fetchval(count) == 0:
            break
        await asyncio.sleep(0.01)
    assert await db.fetchval(count) == 0


async def test_close_waits_for_connections_in_use(database_url: str) -> None:
    db = Database(database_url, min_size=1, max_size=1)
    await db.connect()
    async with db.acquire() as connection:
        closing = asyncio.create_task(db.close())
        await asyncio.sleep(0)
        assert await connection.fetchval("select 7") == 7
        assert not closing.done()
    await closing


async def test_close_waits_no_longer_than_told(database_url: str) -> None:
    db = Database(database_url, min_size=1, close_timeout=0.01)
    await db.connect()
    async with db.acquire() as connection:
        async with asyncio.timeout(20):
            await db.close()
        with pytest.raises(DatabaseUnavailable, match="connection is closed"):
            await connection.fetchval("select 1")


async def test_a_database_is_opened_once_even_by_two_at_the_same_moment(database_url: str) -> None:
    db = Database(database_url, min_size=1)
    first, second = await asyncio.gather(db.connect(), db.connect(), return_exceptions=True)
    try:
        assert first is None
        assert isinstance(second, NotConnected)
        assert db.statistics().size == 1
    finally:
        await db.close()


@pytest.mark.parametrize(("min_size", "max_size"), [(-1, 1), (2, 1), (0, 0)])
def test_sizes_that_make_no_pool_are_refused(min_size: int, max_size: int) -> None:
    with pytest.raises(ValueError, match=rf"min_size \({min_size}\) must be from 0 to max_size \({max_size}\)"):
        Database("postgresql:///shop", min_size=min_size, max_size=max_size)


async def test_sessions_have_the_settings_they_are_given(small: Small) -> None:
    settings = {"work_mem": "5MB", "TimeZone": "Asia/Tokyo"}
    names = "application_name", "statement_timeout", "work_mem", "TimeZone"
    async with small(application_name="ann", statement_timeout=1.5, server_settings=settings) as db:
        assert [await db.fetchval("select current_setting($1)", name) for name in names] == [
            "ann",
            "1500ms",
            "5MB",
            "Asia/Tokyo",
        ]


async def test_the_server_ends_a_statement_that_takes_too_long(small: Small) -> None:
    async with small(statement_timeout=1.0) as db:
        with pytest.raises(StatementTimeout, match="statement timeout"):
            await db.execute("select pg_sleep(60)")
        assert await db.fetchval("select 1") == 1


# Servers that cannot be connected to


async def refusal(db: Database) -> str:
    with pytest.raises(DatabaseUnavailable) as error:
        await db.connect()
    with pytest.raises(NotConnected):
        await db.fetchval("select 1")
    return str(error.value)


async def test_a_server_that_does_not_run_is_named_by_host_and_port() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        told = await refusal(Database(f"postgresql://ann:hunter2@127.0.0.1:{port}/shop"))

    assert told.startswith(f"cannot reach PostgreSQL at 127.0.0.1:{port}/shop as ann: ")
    assert told.endswith("; is it running, and are host and port right?")
    assert "hunter2" not in told


async def test_a_socket_that_is_not_there_is_named_by_its_folder(tmp_path: Path) -> None:
    told = await refusal(Database(f"postgresql:///shop?host={tmp_path}&password=hunter2&user=ann"))

    assert told.startswith(f"cannot reach PostgreSQL at {tmp_path}/shop as ann: No such file or directory; ")
    assert "hunter2" not in told


async def test_a_server_that_does_not_answer_is_given_up(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        db = Database(f"postgresql://ann:hunter2@127.0.0.1:{port}/shop?sslmode=disable", connect_timeout=0.05)
        told = await refusal(db)

    name = f"127.0.0.1:{port}/shop as ann"
    assert told == f"PostgreSQL at {name} did not answer in time; check the host, the port and firewalls"


async def test_an_unknown_database_is_named(server_dsn: str) -> None:
    told = await refusal(Database(replace_database(server_dsn, "bindery_nothing_test")))

    assert 'has no such database (database "bindery_nothing_test" does not exist); create it with createdb' in told


async def test_a_database_that_could_not_be_opened_can_be_opened_later(server_dsn: str, database_url: str) -> None:
    name = database_url.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(server_dsn, autocommit=True) as server:
        refuse, allow = (f"alter database {name} with allow_connections {word}" for word in ("false", "true"))
        db = Database(database_url, min_size=1)
        server.execute(refuse.encode())
        told = await refusal(db)
        server.execute(allow.encode())

    assert "is not currently accepting connections" in told
    async with db:
        assert await db.fetchval("select 1") == 1


# Who gets a connection


async def test_a_connection_is_its_holders_alone_until_given_back(database_url: str) -> None:
    async with Database(database_url, min_size=1, max_size=2) as db:
        async with db.acquire() as first, db.acquire() as second:
            pids = [await connection.fetchval("select pg_backend_pid()") for connection in (first, second)]
            assert len(set(pids)) == 2
        async with db.acquire() as third:
            assert await third.fetchval("select pg_backend_pid()") in pids


async def test_who_waits_gets_the_connection_that_is_given_back(
    small: Small, get_pid: Callable[[Executor], Any]
) -> None:
    async with small() as db:
        async with db.acquire() as connection:
            waiting = [asyncio.create_task(get_pid(db)) for _ in range(3)]
            waiting.append(asyncio.create_task(db.fetchval("select pg_backend_pid()")))
            await asyncio.sleep(0)
            pid = await get_pid(connection)
            assert not any(task.done() for task in waiting)
        assert await asyncio.gather(*waiting) == [pid] * 4


async def test_who_waits_when_the_database_is_closed_is_told(database_url: str) -> None:
    db = Database(database_url, min_size=1, max_size=1)
    await db.connect()
    async with db.acquire():
        waiting = asyncio.create_task(db.fetchval("select 1"))
        await asyncio.sleep(0)
        closing = asyncio.create_task(db.close())
        with pytest.raises(NotConnected):
            await waiting
    await closing


async def test_a_wait_that_is_given_up_takes_no_connection(small: Small) -> None:
    async with small() as db:
        async with db.acquire():
            waiting = asyncio.create_task(db.fetchval("select 1"))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        assert await db.fetchval("select 1") == 1


async def test_an_exhausted_pool_says_what_it_was_doing(database_url: str, get_pid: Callable[[Executor], Any]) -> None:
    async with (
        Database(database_url, min_size=2, max_size=2, acquire_timeout=0.05) as db,
        db.acquire(),
        db.acquire(),
    ):
        for use in uses(db, get_pid):
            with pytest.raises(PoolTimeout, match=r"2 of at most 2 connections are open, 2 in use, 0 idle; 1 waiting"):
                # In a task of its own: whoever waits for itself is told so at once.
                await asyncio.create_task(use())
        with pytest.raises(PoolTimeout, match=r"^no connection became free in time: "):
            await asyncio.create_task(block(db.acquire(timeout=0.03)))


async def test_an_exhausted_pool_counts_who_waits(database_url: str) -> None:
    async with Database(database_url, min_size=1, max_size=1) as db:
        async with db.acquire():
            waiting = [asyncio.create_task(db.fetchval("select 1")) for _ in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(PoolTimeout, match="4 waiting"):
                await asyncio.create_task(block(db.transaction(timeout=0.01)))
        assert await asyncio.gather(*waiting) == [1, 1, 1]


async def test_an_exhausted_pool_recovers(small: Small, get_pid: Callable[[Executor], Any]) -> None:
    async with small(acquire_timeout=1.0) as db:
        async with db.acquire():
            with pytest.raises(PoolTimeout):
                await asyncio.create_task(get_pid(db))
        assert await get_pid(db)


# A connection that is lent


async def test_a_connection_is_of_no_use_after_its_block(db: Database, get_pid: Callable[[Executor], Any]) -> None:
    async with db.acquire() as acquired:
        pass
    async with db.transaction() as tx:
        pass

    def uses(connection: Connection) -> list[Callable[[], Any]]:
        return [
            lambda: get_pid(connection),
            lambda: block(connection.transaction()),
            lambda: connection.execute("select 1"),
            lambda: connection.executemany("select $1::int", [(1,)]),
            lambda: connection.fetch("select 1"),
            lambda: connection.fetchrow("select 1"),
            lambda: connection.fetchval("select 1"),
            lambda: connection.driver,
            connection.is_in_transaction,
        ]

    for use in [*uses(acquired), *uses(tx)]:
        with pytest.raises(NotConnected, match="given back when its `async with` block ended"):
            await use()


async def test_raw_sql_runs_on_the_database_and_on_a_connection(db: Database) -> None:
    await db.execute("create table numbers (n int); insert into numbers values (1), (2)")
    rows = "select n, n * $1::int as product from numbers order by n"

    async with db.acquire() as connection:
        await connection.executemany("insert into numbers values ($1)", [(3,), (4,)])
        for executor in (db, connection):
            assert await executor.execute("update numbers set n = n where n > $1", 1) == "UPDATE 3"
            assert [tuple(row) for row in await executor.fetch(rows, 10)] == [(1, 10), (2, 20), (3, 30), (4, 40)]
            assert dict(await executor.fetchrow(rows, 10) or {}) == {"n": 1, "product": 10}
            assert await executor.fetchval(rows, 10) == 1
            assert await executor.fetchrow("select 1 where false") is None
            assert await executor.fetchval("select 1 where false") is None


async def test_raw_sql_reads_json_as_python_values(db: Database) -> None:
    assert await db.fetchval("select $1::jsonb", {"a": [1, None]}) == {"a": [1, None]}
    assert await db.fetchval("select $1::json", "text") == "text"


async def test_many_are_executed_all_or_none(db: Database) -> None:
    await db.execute("create table numbers (n int primary key)")
    async with db.acquire() as connection:
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.executemany("insert into numbers values ($1)", [(1,), (2,), (1,)])

    assert await db.fetchval("select count(*) from numbers") == 0


async def test_raw_sql_can_be_given_less_time(db: Database) -> None:
    runs: list[Callable[[Connection], Any]] = [
        lambda connection: connection.execute("select pg_sleep(60)", timeout=0.01),
        lambda connection: connection.executemany("select pg_sleep($1)", [(60,)], timeout=0.01),
        lambda connection: connection.fetch("select pg_sleep(60)", timeout=0.01),
        lambda connection: connection.fetchrow("select pg_sleep(60)", timeout=0.01),
        lambda connection: connection.fetchval("select pg_sleep(60)", timeout=0.01),
    ]
    for run in runs:
        # One connection each: the driver may have to give one up when time runs out.
        with pytest.raises(StatementTimeout):
            async with db.acquire() as connection:
                await run(connection)
    assert await db.fetchval("select 1") == 1


async def test_the_drivers_own_connection_does_what_is_not_here(db: Database) -> None:
    await db.execute("create table numbers (n int)")
    async with db.acquire() as connection:
        assert await connection.driver.copy_records_to_table("numbers", records=[(1,), (2,)]) == "COPY 2"

    assert await db.fetchval("select sum(n) from numbers") == 3


# What one holder leaves behind


@pytest.mark.parametrize("how", ["acquire", "transaction", "execute", "driver", "failure"])
async def test_a_session_setting_does_not_leak_to_the_next_holder(small: Small, how: str) -> None:
    async with small() as db:
        before = await db.fetchrow("select pg_backend_pid(), current_setting('work_mem')")
        if how == "execute":
            await db.execute("set work_mem = '7MB'")
        elif how == "driver":
            async with db.acquire() as connection:
                await connection.driver.execute("set work_mem = '7MB'")
        elif how == "failure":
            with pytest.raises(asyncpg.DivisionByZeroError):
                async with db.acquire() as connection:
                    await connection.execute("set work_mem = '7MB'")
                    await connection.execute("select 1 / 0")
        else:
            async with getattr(db, how)() as connection:
                await connection.execute("set work_mem = '7MB'")
                assert await connection.fetchval("select current_setting('work_mem')") == "7MB"

        assert await db.fetchrow("select pg_backend_pid(), current_setting('work_mem')") == before


async def test_a_transaction_that_raw_sql_left_open_is_rolled_back(small: Small) -> None:
    async with small() as db:
        async with db.acquire() as connection:
            await connection.execute("begin")
            await connection.execute("create table left_open ()")
        async with db.acquire() as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("select to_regclass('left_open')") is None


async def test_settings_of_the_session_survive_a_reset(small: Small) -> None:
    async with small(server_settings={"work_mem": "6MB"}) as db:
        await db.execute("set work_mem = '7MB'")
        assert await db.fetchval("select current_setting('work_mem')") == "6MB"
        assert await db.fetchval("select '{}'::json") == {}


# Connections that are lost


async def pid_or_error(db: Database, get_pid: Callable[[Executor], Any]) -> int | DatabaseUnavailable:
    try:
        return await get_pid(db)
    except DatabaseUnavailable as error:
        return error


async def test_a_connection_that_dies_idle_is_noticed_once_at_most_and_replaced(
    small: Small, database_url: str, get_pid: Callable[[Executor], Any]
) -> None:
    async with small() as db:
        first = await get_pid(db)
        kill(database_url, first)
        outcome = await pid_or_error(db, get_pid)
        second = await get_pid(db)

        assert second != first
        assert outcome == second or isinstance(outcome, DatabaseUnavailable)
        assert await get_pid(db) == second


async def test_a_connection_that_dies_in_use_is_unavailable_and_replaced(
    small: Small, database_url: str, get_pid: Callable[[Executor], Any]
) -> None:
    async with small() as db:
        async with db.acquire() as connection:
            first = await get_pid(connection)
            kill(database_url, first)
            for _ in range(2):
                with pytest.raises(DatabaseUnavailable, match=r"^the connection was lost during get_pid: "):
                    await get_pid(connection)
        assert await get_pid(db) != first


async def test_a_statement_whose_server_process_ends_is_unavailable(small: Small, tmp_path: Path) -> None:
    path = tmp_path / "servers.sql"
    path.write_text("-- name: end_server\nselect pg_terminate_backend(pg_backend_pid())\n")

    @Queries(path).bind
    async def end_server(db: Executor) -> bool: ...

    async with small() as db:
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable, match=r"^the connection was lost during end_server: ") as error:
                await end_server(db)
            assert isinstance(error.value.__cause__, Exception)
            assert await db.fetchval("select 1") == 1


async def test_who_waits_for_a_connection_that_dies_gets_another(
    small: Small, database_url: str, get_pid: Callable[[Executor], Any]
) -> None:
    async with small() as db:
        async with db.acquire() as connection:
            waiting = asyncio.create_task(get_pid(db))
            await asyncio.sleep(0)
            first = await get_pid(connection)
            kill(database_url, first)
            with pytest.raises(DatabaseUnavailable):
                await get_pid(connection)
        assert await waiting != first


async def test_every_connection_can_be_lost_at_once(database_url: str, get_pid: Callable[[Executor], Any]) -> None:
    async with Database(database_url, min_size=3, max_size=3) as db:
        async with db.acquire() as one, db.acquire() as two, db.acquire() as three:
            first = [await get_pid(connection) for connection in (one, two, three)]
        for pid in first:
            kill(database_url, pid)
        # Each dead connection may be noticed by the statement that gets it, and by no other.
        outcomes = [await pid_or_error(db, get_pid) for _ in range(6)]

        assert sum(isinstance(outcome, DatabaseUnavailable) for outcome in outcomes) <= 3
        assert isinstance(outcomes[-1], int)
        assert not set(outcomes) & set(first)
        async with db.acquire() as one, db.acquire() as two, db.acquire() as three:
            assert len({await get_pid(connection) for connection in (one, two, three)}) == 3
