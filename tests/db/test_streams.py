"""Streams: rows that are fetched while they are consumed, and a connection that comes back in every case."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from asyncpg import Range

from app.db import (
    BadArgument,
    BindingError,
    CommitUnknown,
    Database,
    DatabaseUnavailable,
    Executor,
    NotConnected,
    NotFound,
    PoolTimeout,
    Queries,
    TransactionAborted,
)
from tests.db.ledger import create_entries, held_commits, until_committing
from tests.network import Network

WriteQueries = Callable[[str], Queries]
Numbers = AbstractAsyncContextManager[AsyncIterator[int]]
if TYPE_CHECKING:
    Span = Range[datetime]
else:  # asyncpg's classes are generic to the type checker only
    Span = Range


@pytest.fixture
def stream_numbers(write_queries: WriteQueries) -> Callable[..., Numbers]:
    """Streams the numbers from 1 to `count`, ten at a time, and fails at 50."""
    queries = write_queries(
        """-- name: stream_numbers
        select case when 1 / (50 - n) is null then 0 else n end
        from (select generate_series(1, :count::int)) as t (n)"""
    )

    @queries.bind(prefetch=10)
    def stream_numbers(db: Executor, *, count: int) -> Numbers: ...

    return stream_numbers


async def settled(db: Database, in_use: int = 0) -> None:
    """Wait until every other connection is idle; fail when one is not given back."""
    async with asyncio.timeout(10):
        while db.statistics().in_use > in_use:
            await asyncio.sleep(0.005)


async def test_a_stream_yields_every_row_in_order(db: Database, stream_numbers: Callable[..., Numbers]) -> None:
    async with stream_numbers(db, count=35) as rows:
        assert db.statistics().in_use == 1
        assert [number async for number in rows] == list(range(1, 36))
    assert db.statistics().in_use == 0


async def test_a_stream_fetches_no_more_than_it_was_told_to(
    db: Database, stream_numbers: Callable[..., Numbers]
) -> None:
    async with stream_numbers(db, count=1_000_000_000) as rows:
        assert [await anext(rows) for _ in range(20)] == list(range(1, 21))
        assert db.statistics().in_use == 1
    await settled(db)


async def test_a_stream_left_early_gives_its_connection_back(
    db: Database, stream_numbers: Callable[..., Numbers]
) -> None:
    async with stream_numbers(db, count=1_000_000) as rows:
        async for number in rows:
            if number == 5:
                break
    await settled(db)
    with pytest.raises(NotConnected, match="the stream stream_numbers ended"):
        await anext(rows)


async def test_whoever_waits_is_told_where_a_stream_holds_the_connection(
    database_url: str, stream_numbers: Callable[..., Numbers]
) -> None:
    async with (
        Database(database_url, min_size=1, max_size=1, acquire_timeout=0.05) as db,
        stream_numbers(db, count=10),
    ):
        with pytest.raises(PoolTimeout, match=r"last ran stream_numbers, acquired at .*test_streams\.py:\d+"):
            await db.fetchval("select 1")


async def test_an_exception_in_the_block_gives_the_connection_back(
    db: Database, stream_numbers: Callable[..., Numbers]
) -> None:
    with pytest.raises(KeyError):
        async with stream_numbers(db, count=100):
            raise KeyError
    await settled(db)
    assert await db.fetchval("select 1") == 1


async def test_what_a_stream_writes_is_stored_unless_its_block_fails(db: Database, write_queries: WriteQueries) -> None:
    @write_queries("-- name: stream_added\ninsert into books values (:title) returning title").bind
    def stream_added(db: Executor, *, title: str) -> AbstractAsyncContextManager[AsyncIterator[str]]: ...

    await db.execute("create table books (title text)")
    async with stream_added(db, title="kept") as rows:
        assert await anext(rows) == "kept"
    with pytest.raises(KeyError):
        async with stream_added(db, title="undone") as rows:
            assert await anext(rows) == "undone"
            raise KeyError
    await settled(db)
    assert [title for (title,) in await db.fetch("select title from books")] == ["kept"]


@pytest.fixture
async def stream_kept(db: Database, write_queries: WriteQueries) -> Callable[..., Numbers]:
    """Stores and streams the numbers from `first` to 100, one at a time; sleeps at 0 and fails at 50."""
    await db.execute("""
        create table numbers (n int);
        create function keep(n int) returns int language plpgsql as $$ begin
            insert into numbers values (1 / (50 - n));
            perform pg_sleep(case when n = 0 then 60 else 0 end);
            return n;
        end $$
    """)
    queries = write_queries("-- name: stream_kept\nselect keep(n) from generate_series(:first::int, 100) as n")

    @queries.bind(prefetch=1)
    def stream_kept(db: Executor, *, first: int) -> Numbers: ...

    return stream_kept


async def test_a_failure_that_is_swallowed_in_a_stream_that_writes_is_told_at_its_end(
    db: Database, stream_kept: Callable[..., Numbers]
) -> None:
    with pytest.raises(TransactionAborted) as aborted:
        async with stream_kept(db, first=1) as rows:
            with pytest.raises(asyncpg.DivisionByZeroError):
                assert [number async for number in rows]
    assert type(aborted.value.__cause__) is asyncpg.DivisionByZeroError
    await settled(db)
    async with stream_kept(db, first=51) as rows:
        assert len([number async for number in rows]) == 50
    assert await db.fetchval("select count(*) from numbers") == 50


async def test_a_failure_that_is_swallowed_in_a_stream_that_reads_has_lost_nothing(
    db: Database, stream_numbers: Callable[..., Numbers]
) -> None:
    async with stream_numbers(db, count=100) as rows:
        with pytest.raises(asyncpg.DivisionByZeroError):
            assert [number async for number in rows]
    await settled(db)


async def test_a_fetch_that_was_given_up_in_a_stream_that_writes_is_not_committed(
    db: Database, stream_kept: Callable[..., Numbers]
) -> None:
    with pytest.raises(TransactionAborted):
        async with stream_kept(db, first=-1) as rows:
            assert await anext(rows) == -1
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await anext(rows)
    await settled(db)
    assert await db.fetchval("select count(*) from numbers") == 0


async def test_a_fetch_that_was_given_up_when_the_server_had_done_it_is_not_committed_either(
    db: Database, network: Network, stream_kept: Callable[..., Numbers]
) -> None:
    async with Database(network.dsn, min_size=1) as far:
        with pytest.raises(TransactionAborted):
            async with stream_kept(far, first=51) as rows:
                network.hold()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        assert [number async for number in rows]
                network.release()
    assert await db.fetchval("select count(*) from numbers") == 0


async def test_a_stream_that_writes_and_whose_connection_is_lost_before_its_commit_stored_nothing(
    db: Database, write_queries: WriteQueries
) -> None:
    await db.execute("create table books (title text)")

    @write_queries("-- name: stream_added\ninsert into books values ('a') returning pg_backend_pid()").bind
    def stream_added(db: Executor) -> Numbers: ...

    with pytest.raises(DatabaseUnavailable, match="nothing was stored"):
        async with stream_added(db) as rows:
            await db.fetchval("select pg_terminate_backend($1, 20000)", await anext(rows))
            # The loop has to see the end of the session: the one row is here, and the server is not asked for more.
            await asyncio.sleep(0.1)
            with pytest.raises(DatabaseUnavailable):
                await anext(rows)
    assert await db.fetchval("select count(*) from books") == 0


async def test_a_stream_that_writes_and_whose_commit_nobody_answers_is_a_question(
    db: Database, network: Network, write_queries: WriteQueries
) -> None:
    queries = write_queries("-- name: stream_added\ninsert into entries values (1, 1) returning id")

    @queries.bind
    def stream_added(db: Executor) -> Numbers: ...

    async def add(far: Database) -> None:
        async with stream_added(far) as rows:
            assert await anext(rows) == 1

    await create_entries(db)
    async with Database(network.dsn, min_size=1) as far, held_commits(db):
        adding = asyncio.create_task(add(far))
        await until_committing(db)
        await network.cut()
        with pytest.raises(CommitUnknown):
            await adding
        await network.mend()


async def test_a_stream_that_is_cancelled_while_it_begins_gives_its_connection_back(
    db: Database, write_queries: WriteQueries
) -> None:
    @write_queries("-- name: stream_things\nselect 1 from pg_sleep(:seconds::float8)").bind
    def stream_things(db: Executor, *, seconds: float) -> Numbers: ...

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1), stream_things(db, seconds=60):
            pass
    await settled(db)
    assert await db.fetchval("select 1") == 1


async def test_an_error_of_the_statement_names_its_place(db: Database, stream_numbers: Callable[..., Numbers]) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError) as refusal:
        async with stream_numbers(db, count=100) as rows:
            assert [number async for number in rows]
    assert refusal.value.__notes__ == ["things.sql:1:1: in stream_numbers"]
    await settled(db)


async def test_a_cancelled_consumer_gives_the_connection_back(
    db: Database, stream_numbers: Callable[..., Numbers]
) -> None:
    entered = asyncio.Event()

    async def consume() -> None:
        async with stream_numbers(db, count=100):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(consume())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settled(db)
    assert await db.fetchval("select 1") == 1


async def test_a_stream_that_is_dropped_gives_the_connection_back(
    db: Database, stream_numbers: Callable[..., Numbers]
) -> None:
    stream = stream_numbers(db, count=100)
    await stream.__aenter__()
    with pytest.warns(ResourceWarning, match="stream_numbers was dropped"):
        del stream
        gc.collect()
    await settled(db)


async def test_a_stream_in_a_transaction_of_the_caller_sees_what_that_wrote(
    db: Database, write_queries: WriteQueries
) -> None:
    queries = write_queries("-- name: stream_books\nselect title from books order by title")

    @queries.bind
    def stream_books(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[str]]: ...

    async with db.transaction() as tx:
        await tx.execute("create table books (title text)")
        await tx.execute("insert into books values ('a'), ('b')")
        async with stream_books(tx) as rows:
            assert [title async for title in rows] == ["a", "b"]
        assert tx.is_in_transaction()
    async with db.acquire() as connection, stream_books(connection) as rows:
        assert await anext(rows) == "a"
        assert connection.is_in_transaction()


@pytest.mark.parametrize(
    "text",
    ["select 1 / (:n::int - 1)", "select nope + :n::int", "select 1 / (:n::int - n) from generate_series(0, 2) as n"],
)
async def test_a_stream_that_fails_ends_its_transaction_and_is_why(
    db: Database, write_queries: WriteQueries, text: str
) -> None:
    @write_queries(f"-- name: stream_things\n{text}").bind(prefetch=1)
    def stream_things(db: Executor, *, n: int) -> Numbers: ...

    failures: list[BaseException] = []
    with pytest.raises(TransactionAborted) as aborted:
        async with db.transaction() as tx:
            try:
                async with stream_things(tx, n=1) as rows:
                    assert [number async for number in rows]
            except (BindingError, asyncpg.DivisionByZeroError) as error:
                failures.append(error)
    assert aborted.value.__cause__ is failures[0]


async def test_a_transaction_in_which_a_stream_was_cancelled_is_not_committed(
    db: Database, write_queries: WriteQueries
) -> None:
    @write_queries("-- name: stream_things\nselect 1 from pg_sleep(:seconds::float8)").bind
    def stream_things(db: Executor, *, seconds: float) -> Numbers: ...

    await db.execute("create table books (title text)")
    with pytest.raises(TransactionAborted):
        async with db.transaction() as tx:
            await tx.execute("insert into books values ('a')")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), stream_things(tx, seconds=60):
                    pass
    assert await db.fetchval("select count(*) from books") == 0


async def test_the_arguments_of_a_stream_are_strict(db: Database, stream_numbers: Callable[..., Any]) -> None:
    with pytest.raises(BadArgument, match="must be int, not float"):
        stream_numbers(db, count=1.5)


async def test_what_only_the_servers_types_tell_is_refused_by_a_stream_as_well(
    db: Database, write_queries: WriteQueries
) -> None:
    queries = write_queries("-- name: stream_days\nselect 1 where tstzrange(null, now()) && :span::tstzrange;\n")

    @queries.bind
    def stream_days(db: Executor, *, span: Span) -> AbstractAsyncContextManager[AsyncIterator[int]]: ...

    with pytest.raises(BadArgument, match="time zone"):
        async with stream_days(db, span=Range(datetime(2026, 1, 1))):
            pass


async def test_what_a_stream_refers_to_may_be_gone_before_its_first_row(
    db: Database, write_queries: WriteQueries
) -> None:
    await db.execute(
        "create function known_reader() returns boolean language plpgsql as $$ begin"
        " raise foreign_key_violation using constraint = 'known_reader', message = 'no such reader'; end $$"
    )

    @write_queries("-- name: stream_things\nselect 1 where known_reader()").bind
    def stream_things(db: Executor) -> Numbers: ...

    with pytest.raises(NotFound, match="reader not found"):
        async with stream_things(db):
            pass
    await settled(db)


async def test_a_stream_that_cannot_begin_leaves_a_connection_out_of_any_transaction(
    db: Database, write_queries: WriteQueries
) -> None:
    @write_queries("-- name: stream_things\nselect 1 / :n::int").bind
    def stream_things(db: Executor, *, n: int) -> Numbers: ...

    async with db.acquire() as connection:
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with stream_things(connection, n=0):
                pass
        assert not connection.is_in_transaction()
        async with stream_things(connection, n=1) as rows:
            assert [number async for number in rows] == [1]


async def test_what_a_stream_leaves_in_its_session_is_reset(db: Database, write_queries: WriteQueries) -> None:
    @write_queries("-- name: stream_locks\nselect pg_advisory_lock(7) is null").bind
    def stream_locks(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[bool]]: ...

    async with stream_locks(db) as rows:
        assert [is_null async for is_null in rows] == [False]
    await settled(db)
    asked = "select count(*) from pg_locks join pg_database on oid = database where datname = current_database()"
    assert await db.fetchval(f"{asked} and locktype = 'advisory'") == 0


async def test_a_stream_is_prepared_anew_after_a_migration_made_it_stale(
    db: Database, write_queries: WriteQueries
) -> None:
    await db.execute("create table books (title varchar(10)); insert into books values ('a')")

    @write_queries("-- name: stream_books\nselect title from books").bind
    def stream_books(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[str]]: ...

    async def titles() -> list[str]:
        async with stream_books(db) as rows:
            return [title async for title in rows]

    await settled(db)
    async with db.acquire() as other:
        assert await titles() == ["a"]
        await other.execute("alter table books alter column title type varchar(20)")
        with pytest.raises(asyncpg.InvalidCachedStatementError):
            await titles()
        await settled(db, in_use=1)
        assert await titles() == ["a"]


def test_a_stream_is_declared_without_async(write_queries: WriteQueries) -> None:
    async def stream_things(db: Executor) -> Numbers: ...

    with pytest.raises(BindingError, match="stream_things is a stream: declare it `def`, without async"):
        write_queries("-- name: stream_things\nselect 1").bind(stream_things)
