"""Streams and COPY through a PgBouncer in transaction mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from app.db import BadRow, BindingError, Database, Executor, Queries, SessionStateRefused, StatementTimeout
from tests.db.conftest import write_queries
from tests.db.pools import get_number, pool, stream_series, until_idle
from tests.debian.test_pgbouncer import bounced, db, direct
from tests.pgbouncer import SERVER_CONNECTIONS

__all__ = ["bounced", "db", "direct", "write_queries"]
pytestmark = pytest.mark.debian
WriteQueries = Callable[[str], Queries]
Copy = Callable[..., Any]
MANY = 100_000


@dataclass(frozen=True, slots=True)
class Book:
    title: str
    pages: int
    mood: str | None = None


@pytest.fixture
def copy_books(direct: str, write_queries: WriteQueries) -> Copy:
    """Copies books; titles are unique, and a mood is a type of one's own."""
    with psycopg.connect(direct, autocommit=True) as server:
        server.execute("create type mood as enum ('good', 'bad')")
        server.execute("create table books (title text unique, pages int check (pages > 0), mood mood)")
    queries = write_queries("-- name: copy_books\ncopy books (pages, title, mood) from stdin;")

    @queries.bind
    async def copy_books(db: Executor, *, rows: Iterable[Book] | AsyncIterable[Book]) -> int: ...

    return copy_books


async def stored(db: Database) -> list[tuple[Any, ...]]:
    """What the table holds."""
    return [tuple(row) for row in await db.fetch("select title, pages, mood from books order by title")]


def left_behind(bounced: str) -> set[tuple[Any, ...]]:
    """What a stranger finds in the sessions behind PgBouncer: prepared statements, cursors, and settings."""
    asked = """select (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors where name <> ''),
        current_setting('jit'), current_setting('statement_timeout')"""
    found: set[tuple[Any, ...]] = set()
    strangers = [psycopg.connect(bounced) for _ in range(SERVER_CONNECTIONS)]
    for stranger in strangers:
        # Not committed: so each of them has another session.
        found.add(stranger.execute(asked).fetchone() or ())
    for stranger in strangers:
        stranger.close()
    return found


CLEAN = {(0, 0, "on", "0")}


async def test_a_stream_yields_every_row_in_order(db: Database, bounced: str) -> None:
    async with stream_series(db, number=1234) as rows:
        assert [number async for number in rows] == list(range(1, 1235))
    await until_idle(db)
    assert left_behind(bounced) == CLEAN


async def test_many_streams_share_few_sessions(db: Database, bounced: str) -> None:
    async def consume(number: int) -> int:
        async with stream_series(db, number=number) as rows:
            return sum([1 async for _ in rows])

    numbers = range(1000, 1020)
    assert await asyncio.gather(*map(consume, numbers)) == list(numbers)
    await until_idle(db)
    assert left_behind(bounced) == CLEAN


async def test_streams_that_are_left_early_give_their_connections_and_sessions_back(db: Database, bounced: str) -> None:
    for _ in range(SERVER_CONNECTIONS * 3):
        async with stream_series(db, number=MANY) as rows:
            assert await anext(rows) == 1
            assert db.statistics().in_use == 1
    with pytest.raises(LookupError):
        async with stream_series(db, number=MANY) as rows:
            assert await anext(rows) == 1
            raise LookupError
    await until_idle(db)

    assert await asyncio.gather(*(get_number(db, number=number) for number in range(20))) == list(range(20))
    assert left_behind(bounced) == CLEAN


async def test_cancelled_streams_give_their_connections_and_sessions_back(db: Database, bounced: str) -> None:
    entered = asyncio.Event()

    async def consume() -> None:
        async with stream_series(db, number=MANY):
            entered.set()
            await asyncio.Event().wait()

    for _ in range(SERVER_CONNECTIONS * 2):
        entered.clear()
        task = asyncio.create_task(consume())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await until_idle(db)
    assert left_behind(bounced) == CLEAN


async def test_a_stream_in_a_transaction_runs_in_that(db: Database, bounced: str) -> None:
    async with db.transaction() as tx:
        await tx.execute("insert into notes values ('mine')")
        async with stream_series(tx, number=MANY) as rows:
            assert [await anext(rows) for _ in range(200)] == list(range(1, 201))
        assert tx.is_in_transaction()
        assert await tx.fetchval("select body from notes") == "mine"
        async with stream_series(tx, number=3) as rows:
            assert [number async for number in rows] == [1, 2, 3]
    async with db.acquire() as connection:
        async with stream_series(connection, number=MANY) as rows:
            assert await anext(rows) == 1
        assert not connection.is_in_transaction()
    assert await db.fetchval("select count(*) from notes") == 1
    await until_idle(db)
    assert left_behind(bounced) == CLEAN


async def test_a_stream_has_the_settings_of_the_pool(bounced: str, write_queries: WriteQueries) -> None:
    queries = write_queries("-- name: stream_settings\nselect current_setting('statement_timeout') from pg_sleep(:s);")

    @queries.bind
    def stream_settings(db: Executor, *, s: float) -> AbstractAsyncContextManager[AsyncIterator[str]]: ...

    async with pool(bounced, pgbouncer=True, statement_timeout=1.0) as db:
        async with stream_settings(db, s=0.0) as rows:
            assert [setting async for setting in rows] == ["1s"]
        with pytest.raises(StatementTimeout, match="the server stopped stream_settings"):
            async with stream_settings(db, s=60.0):
                pass
        assert await get_number(db, number=1) == 1


async def test_a_stream_that_would_leave_something_in_its_session_is_refused(
    db: Database, write_queries: WriteQueries, bounced: str
) -> None:
    queries = write_queries("-- name: stream_locks\nselect pg_advisory_lock(1)::text;")

    @queries.bind
    def stream_locks(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[str]]: ...

    with pytest.raises(SessionStateRefused, match="pg_advisory_lock"):
        async with stream_locks(db):
            pass
    async with db.transaction() as tx:
        with pytest.raises(SessionStateRefused, match="pg_advisory_lock"):
            async with stream_locks(tx):
                pass
        assert await get_number(tx, number=1) == 1
    await until_idle(db)


async def test_rows_are_copied_from_either_kind_of_source(db: Database, copy_books: Copy, bounced: str) -> None:
    def some() -> Iterator[Book]:
        yield from (Book(f"a{n:04}", n, "good") for n in range(1, 2001))

    async def others() -> AsyncIterator[Book]:
        for n in range(1, 2001):
            await asyncio.sleep(0)
            yield Book(f"b{n:04}", n)

    assert await copy_books(db, rows=some()) == 2000
    assert await copy_books(db, rows=others()) == 2000
    expected = [(f"a{n:04}", n, "good") for n in range(1, 2001)] + [(f"b{n:04}", n, None) for n in range(1, 2001)]
    assert await stored(db) == expected
    assert left_behind(bounced) == CLEAN


async def test_copies_at_once_share_few_sessions(db: Database, copy_books: Copy, bounced: str) -> None:
    async def slowly(name: str) -> AsyncIterator[Book]:
        for n in range(1, 51):
            await asyncio.sleep(0)
            yield Book(f"{name} {n}", n, "bad")

    counts = await asyncio.gather(*(copy_books(db, rows=slowly(f"book {number}")) for number in range(8)))

    assert counts == [50] * 8
    assert len(await stored(db)) == 400
    assert left_behind(bounced) == CLEAN


async def test_a_copy_in_a_transaction_is_part_of_it(db: Database, copy_books: Copy) -> None:
    with pytest.raises(LookupError):
        async with db.transaction() as tx:
            assert await copy_books(tx, rows=[Book("a", 1)]) == 1
            raise LookupError
    async with db.transaction() as tx:
        assert await copy_books(tx, rows=[Book("b", 1)]) == 1
        assert await get_number(tx, number=1) == 1

    assert await stored(db) == [("b", 1, None)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Book("b", 0), 'copy_books: row 2: new row for relation "books" violates check constraint "books_pages_check"'),
        (
            Book("a", 2),
            'copy_books: row 2, column title: duplicate key value violates unique constraint "books_title_key"',
        ),
        (Book("b", 2**40), "copy_books: row 2: value out of int32 range"),
        (Book("b", 1.5), "copy_books: row 2, column pages: must be int, not float"),  # pyright: ignore[reportArgumentType] - that is the point
    ],
)
async def test_a_bad_row_is_named_and_nothing_is_stored(
    db: Database, copy_books: Copy, bounced: str, bad: Book, message: str
) -> None:
    rows = [Book("a", 1), bad, Book("c", 3)]

    async def later() -> AsyncIterator[Book]:
        for row in rows:
            yield row

    for source in (rows, later()):
        with pytest.raises(BadRow) as refusal:
            await copy_books(db, rows=source)
        assert str(refusal.value) == message
        assert await stored(db) == []
    assert await copy_books(db, rows=[Book("a", 1)]) == 1
    assert left_behind(bounced) == CLEAN


async def test_a_bad_row_undoes_its_savepoint_alone(db: Database, copy_books: Copy) -> None:
    async with db.transaction() as tx:
        await copy_books(tx, rows=[Book("a", 1)])
        with pytest.raises(BadRow):
            async with tx.transaction():
                await copy_books(tx, rows=[Book("b", 0)])
    assert await stored(db) == [("a", 1, None)]


async def test_a_copy_has_the_settings_of_the_pool(direct: str, bounced: str, copy_books: Copy) -> None:
    with psycopg.connect(direct, autocommit=True) as server:
        server.execute(
            "create function rest() returns trigger language plpgsql as $$ begin perform pg_sleep(60); end $$;"
            "create trigger rest before insert on books for each row execute function rest()"
        )
    async with pool(bounced, pgbouncer=True, statement_timeout=1.0) as db:
        with pytest.raises(StatementTimeout, match="the server stopped copy_books"):
            await copy_books(db, rows=[Book("a", 1)])
        assert await stored(db) == []


async def test_a_table_that_is_not_there_is_told_with_its_place(db: Database, write_queries: WriteQueries) -> None:
    queries = write_queries("-- name: copy_books\ncopy bookz (pages, title, mood) from stdin;")

    @queries.bind
    async def copy_books(db: Executor, *, rows: Iterable[Book]) -> int: ...

    with pytest.raises(BindingError, match='relation "bookz" does not exist'):
        await copy_books(db, rows=[Book("a", 1)])
    assert await get_number(db, number=1) == 1


async def test_types_of_ones_own_leave_no_setting_behind(db: Database, copy_books: Copy, bounced: str) -> None:
    # The driver turns jit off while it looks up a type, and back on where it was on.
    await asyncio.gather(*(db.fetchval("select 'good'::mood") for _ in range(20)))
    assert await copy_books(db, rows=[Book("a", 1, "good")]) == 1
    assert left_behind(bounced) == CLEAN
