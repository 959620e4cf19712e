"""Bulk: rows go into a table by COPY, all or none, and an error names the row."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from app.db import (
    BadRow,
    BindingError,
    Database,
    DatabaseUnavailable,
    Executor,
    Queries,
    StatementTimeout,
    TransactionAborted,
)
from tests.db.pools import until_idle
from tests.network import Network

WriteQueries = Callable[[str], Queries]
AT = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Book:
    pages: int
    title: str
    at: datetime = AT


Copy = Callable[..., Any]


@pytest.fixture
async def copy_books(db: Database, write_queries: WriteQueries) -> Copy:
    """Copies books; titles are unique and pages positive."""
    await db.execute(
        'create table "Books" (title text, pages int check (pages > 0), at timestamptz, n int default 7,'
        " constraint books_title_key unique (title))"
    )
    queries = write_queries('-- name: copy_books\n-- All.\ncopy public."Books" (title, pages, "at") from stdin;')

    @queries.bind
    async def copy_books(db: Executor, *, rows: Iterable[Book] | AsyncIterable[Book]) -> int: ...

    return copy_books


async def stored(db: Database) -> list[tuple[Any, ...]]:
    """What the table holds."""
    return [tuple(row) for row in await db.fetch('select title, pages, at, n from "Books" order by title')]


async def test_rows_fill_the_columns_of_their_fields_names(db: Database, copy_books: Copy) -> None:
    assert await copy_books(db, rows=[Book(3, "a"), Book(4, "b")]) == 2
    assert await stored(db) == [("a", 3, AT, 7), ("b", 4, AT, 7)]
    assert await copy_books(db, rows=[]) == 0


async def test_rows_may_come_from_a_generator_of_either_kind(db: Database, copy_books: Copy) -> None:
    def some() -> Iterator[Book]:
        yield Book(1, "a")

    async def others() -> AsyncIterator[Book]:
        yield Book(2, "b")

    async with db.transaction() as tx:
        assert await copy_books(tx, rows=some()) == 1
        assert await copy_books(tx, rows=others()) == 1
    assert [title for title, *_ in await stored(db)] == ["a", "b"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Book(1.5, "b"), "copy_books: row 2, column pages: must be int, not float"),  # pyright: ignore[reportArgumentType] - that is the point
        (Book(1, 7), "copy_books: row 2, column title: must be str, not int"),  # pyright: ignore[reportArgumentType] - wrong on purpose
        (Book(1, None), "copy_books: row 2, column title: must be str, not None"),  # pyright: ignore[reportArgumentType] - wrong on purpose
        (Book(1, "b", AT.replace(tzinfo=None)), "copy_books: row 2, column at: needs a time zone for timestamptz"),
        (Book(2**40, "b"), "copy_books: row 2: value out of int32 range"),
        (Book(1, "b\0"), 'copy_books: row 2, column title: invalid byte sequence for encoding "UTF8": 0x00'),
        (
            Book(-1, "b"),
            'copy_books: row 2: new row for relation "Books" violates check constraint "Books_pages_check"',
        ),
        (
            Book(1, "a"),
            'copy_books: row 2, column title: duplicate key value violates unique constraint "books_title_key"',
        ),
    ],
)
async def test_an_error_names_the_row_and_nothing_is_stored(
    db: Database, copy_books: Copy, bad: Book, message: str
) -> None:
    with pytest.raises(BadRow) as refusal:
        await copy_books(db, rows=[Book(1, "a"), bad, Book(3, "c")])

    assert str(refusal.value) == message
    assert refusal.value.row == 2
    assert await stored(db) == []


@pytest.mark.parametrize("mine", [KeyError, TypeError, OverflowError, TimeoutError, OSError])
async def test_an_error_of_the_callers_own_stays_what_it_is(
    db: Database, copy_books: Copy, mine: type[Exception]
) -> None:
    def broken() -> Iterator[Book]:
        yield Book(1, "a")
        raise mine("mine")

    async def broken_later() -> AsyncIterator[Book]:
        for book in broken():
            yield book

    for rows in (broken(), broken_later()):
        with pytest.raises(mine, match="mine") as caught:
            await copy_books(db, rows=rows)
        assert caught.type is mine
    assert await stored(db) == []
    assert db.statistics().evictions == {}


@pytest.mark.parametrize("bad", [Book(-1, "b"), Book(1.5, "b")])  # pyright: ignore[reportArgumentType] - that is the point
async def test_a_copy_that_fails_ends_its_transaction_and_is_why(db: Database, copy_books: Copy, bad: Book) -> None:
    refusals: list[BaseException] = []
    with pytest.raises(TransactionAborted, match=r"BadRow: copy_books: row 1") as aborted:
        async with db.transaction() as tx:
            with pytest.raises(BadRow) as refusal:
                await copy_books(tx, rows=[bad])
            refusals.append(refusal.value)
    assert aborted.value.__cause__ is refusals[0]


async def test_a_copy_that_fails_in_a_savepoint_is_undone_alone(db: Database, copy_books: Copy) -> None:
    async with db.transaction() as tx:
        await copy_books(tx, rows=[Book(1, "a")])
        with pytest.raises(BadRow):
            async with tx.transaction():
                await copy_books(tx, rows=[Book(-1, "b")])
    assert [title for title, *_ in await stored(db)] == ["a"]


async def test_a_cancelled_copy_stores_nothing_and_gives_its_connection_back(db: Database, copy_books: Copy) -> None:
    entered, closed = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[Book]:
        try:
            yield Book(1, "a")
            entered.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    task = asyncio.create_task(copy_books(db, rows=endless()))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
    await until_idle(db)
    assert await stored(db) == []
    assert await copy_books(db, rows=[Book(1, "a")]) == 1


async def test_a_copy_that_takes_too_long_is_a_time_out(database_url: str, copy_books: Copy) -> None:
    async def slow() -> AsyncIterator[Book]:
        yield Book(1, "a")
        await asyncio.sleep(2)
        yield Book(1, "b")

    async with Database(database_url, min_size=1, statement_timeout=1.0) as db:
        with pytest.raises(StatementTimeout, match="the server stopped copy_books"):
            await copy_books(db, rows=slow())
        assert await stored(db) == []


async def test_a_connection_that_breaks_during_a_copy_is_no_bad_row(network: Network, copy_books: Copy) -> None:
    async def cut_off() -> AsyncIterator[Book]:
        yield Book(1, "a")
        await network.cut()
        for number in range(100_000):
            yield Book(1, f"b {number}")
            await asyncio.sleep(0)

    async with Database(network.dsn, min_size=1) as db:
        with pytest.raises(DatabaseUnavailable, match="lost during copy_books"):
            await copy_books(db, rows=cut_off())
        await network.mend()
        assert await stored(db) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("copy books (title) from stdin", "Book does not fit: no column for field 'at'; no column for field 'pages'"),
        ("copy books (title, pages, at, isbn) from stdin", "Book does not fit: no field for column 'isbn'"),
        ("copy books from stdin", "a statement that copies is `copy table (column, …) from stdin`, without options"),
        ("copy books (a) to stdout", "a statement that copies is `copy table (column, …) from stdin`, without options"),
    ],
)
def test_a_copy_that_does_not_fit_is_refused_when_it_is_bound(
    write_queries: WriteQueries, text: str, problem: str
) -> None:
    async def copy_books(db: Executor, *, rows: Iterable[Book]) -> int: ...

    with pytest.raises(BindingError) as refusal:
        write_queries(f"-- name: copy_books\n{text}").bind(copy_books)

    lines = str(refusal.value).splitlines()
    assert lines[0].endswith(f"things.sql:2:1: {problem}")
    assert lines[1:] == [text, "^"]
