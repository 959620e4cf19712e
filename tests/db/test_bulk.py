"""Bulk: rows go into a table by COPY, all or none, and an error names the row."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from app.db import BadRow, BindingError, Database, Executor, Queries

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
        (Book(1, 7), "copy_books: row 2, column title: must be str, not int"),  # pyright: ignore[reportArgumentType]
        (Book(1, None), "copy_books: row 2, column title: must be str, not None"),  # pyright: ignore[reportArgumentType]
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


async def test_an_error_of_the_callers_own_stays_what_it_is(db: Database, copy_books: Copy) -> None:
    def broken() -> Iterator[Book]:
        yield Book(1, "a")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await copy_books(db, rows=broken())
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
