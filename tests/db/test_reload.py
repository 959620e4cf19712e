"""Reload: a changed SQL file takes effect on the next call, and a broken one changes nothing."""

import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from app.db import BindingError, Database, Executor, NotFound, Queries, reload_on_change
from tests.db.pools import until_idle

WriteQueries = Callable[[str], Queries]
_later = count(1_900_000_000)


@dataclass(frozen=True, slots=True)
class Book:
    pages: int


def rewrite(queries: Queries, text: str) -> None:
    """Another text of the file, at a time that differs from any before."""
    queries.path.write_text(text, encoding="utf-8")
    at = next(_later)
    os.utime(queries.path, (at, at))


async def test_a_changed_statement_takes_effect_on_the_next_call(db: Database, write_queries: WriteQueries) -> None:
    queries = write_queries("-- name: get_sum\nselect :a::int + :b::int")

    @queries.bind
    async def get_sum(db: Executor, *, a: int, b: int) -> int: ...

    reload_on_change(queries)
    assert await get_sum(db, a=5, b=3) == 8
    rewrite(queries, "-- name: get_sum\nselect :b::int - :a::int")
    assert await get_sum(db, a=5, b=3) == -2
    async with db.transaction() as tx:
        rewrite(queries, "-- name: get_sum\nselect :a::int * :b::int")
        assert await get_sum(tx, a=5, b=3) == 15


async def test_without_reload_a_changed_file_changes_nothing(db: Database, write_queries: WriteQueries) -> None:
    queries = write_queries("-- name: get_one\nselect 1")

    @queries.bind
    async def get_one(db: Executor) -> int: ...

    rewrite(queries, "-- name: get_one\nselect 2")
    assert await get_one(db) == 1


async def test_a_change_in_an_included_file_takes_effect(db: Database, write_queries: WriteQueries) -> None:
    others = Path("others.sql")
    others.write_text("-- fragment: number\n1\n")
    queries = write_queries("-- name: get_one\nselect\n-- include: others.number\n")

    @queries.bind
    async def get_one(db: Executor) -> int: ...

    reload_on_change(queries)
    assert await get_one(db) == 1
    others.write_text("-- fragment: number\n2\n")
    at = next(_later)
    os.utime(others, (at, at))
    assert await get_one(db) == 2


async def test_a_stream_is_reloaded_too(db: Database, write_queries: WriteQueries) -> None:
    queries = write_queries("-- name: stream_numbers\nselect 1")

    @queries.bind
    def stream_numbers(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[int]]: ...

    reload_on_change(queries)
    rewrite(queries, "-- name: stream_numbers\nselect 2")
    async with stream_numbers(db) as rows:
        assert [number async for number in rows] == [2]


async def test_a_stream_that_is_reloaded_fetches_no_more_than_before(db: Database, write_queries: WriteQueries) -> None:
    queries = write_queries("-- name: stream_numbers\nselect 1")

    @queries.bind(prefetch=10)
    def stream_numbers(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[int]]: ...

    reload_on_change(queries)
    rewrite(queries, "-- name: stream_numbers\nselect 100 / (20 - n) from generate_series(1, 30) as n")
    async with stream_numbers(db) as rows:
        assert [await anext(rows) for _ in range(10)] == [100 // (20 - n) for n in range(1, 11)]


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        ("-- name: get_one\nselect 'open", "things.sql:2:8: this string is opened by ' and never closed"),
        ("-- name: get_one\nselect 1 fro nowhere", 'things.sql:2:14: syntax error at or near "nowhere"'),
        ("-- name: get_one\nselect :a::int", "things.sql:1:1: get_one: :a has no argument"),
        ("-- name: get_one\nselect 'x'", "things.sql:1:1: get_one: column '?column?' is text, the field is int"),
        ("-- name: get_two\nselect 1", "there is no statement 'get_one' in things.sql"),
    ],
)
async def test_a_broken_file_is_logged_and_the_last_good_text_stays(
    db: Database, write_queries: WriteQueries, caplog: pytest.LogCaptureFixture, broken: str, place: str
) -> None:
    queries = write_queries("-- name: get_one\nselect 1")

    @queries.bind
    async def get_one(db: Executor) -> int: ...

    reload_on_change(queries)
    rewrite(queries, broken)
    with caplog.at_level(logging.ERROR, "app.db"):
        assert [await get_one(db), await get_one(db)] == [1, 1]
    (record,) = caplog.records
    assert place in record.getMessage()
    assert "stay" in record.getMessage().splitlines()[-1]
    rewrite(queries, "-- name: get_one\nselect 3")
    assert await get_one(db) == 3


async def test_a_file_may_be_gone_for_a_moment(
    db: Database, write_queries: WriteQueries, caplog: pytest.LogCaptureFixture
) -> None:
    queries = write_queries("-- name: get_one\nselect 1")

    @queries.bind
    async def get_one(db: Executor) -> int: ...

    reload_on_change(queries)
    queries.path.unlink()
    with caplog.at_level(logging.ERROR, "app.db"):
        assert [await get_one(db), await get_one(db)] == [1, 1]
    assert [record.getMessage().splitlines()[0] for record in caplog.records] == [
        "things.sql: No such file or directory"
    ]
    rewrite(queries, "-- name: get_one\nselect 2")
    assert await get_one(db) == 2


async def test_a_broken_stream_leaves_the_last_good_one(
    db: Database, write_queries: WriteQueries, caplog: pytest.LogCaptureFixture
) -> None:
    queries = write_queries("-- name: stream_numbers\nselect 1")

    @queries.bind
    def stream_numbers(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[int]]: ...

    async def streamed() -> list[int]:
        async with stream_numbers(db) as rows:
            return [number async for number in rows]

    reload_on_change(queries)
    rewrite(queries, "-- name: stream_numbers\nselect nope")
    with caplog.at_level(logging.ERROR, "app.db"):
        assert [await streamed(), await streamed()] == [[1], [1]]
    (record,) = caplog.records
    assert record.getMessage().startswith('things.sql:2:8: column "nope" does not exist')
    rewrite(queries, "-- name: stream_numbers\nselect 3")
    assert await streamed() == [3]
    rewrite(queries, "-- name: stream_numbers\nselect nope")
    assert await streamed() == [3]
    # What the broken text ran on is reset in the background.
    await until_idle(db)


async def test_a_copy_is_reloaded_too(db: Database, write_queries: WriteQueries) -> None:
    await db.execute("create table books (pages int); create table leaflets (pages int)")
    queries = write_queries("-- name: copy_books\ncopy books (pages) from stdin")

    @queries.bind
    async def copy_books(db: Executor, *, rows: Iterable[Book]) -> int: ...

    reload_on_change(queries)
    rewrite(queries, "-- name: copy_books\ncopy leaflets (pages) from stdin")
    assert await copy_books(db, rows=[Book(1)]) == 1
    assert await db.fetchval("select count(*) from leaflets") == 1


@pytest.mark.parametrize(
    ("broken", "place"),
    [
        ("copy bookz (pages) from stdin", 'relation "bookz" does not exist'),
        ("copy books (pagez) from stdin", "Book does not fit: no field for column 'pagez'"),
        ("copy books (pages) to stdout", "things.sql:2:1: a statement that copies is"),
        ("insert into books values (1)", "argument 'rows' has no :rows"),
    ],
)
async def test_a_broken_copy_leaves_the_last_good_one_and_all_of_its_rows(
    db: Database, write_queries: WriteQueries, caplog: pytest.LogCaptureFixture, broken: str, place: str
) -> None:
    await db.execute("create table books (pages int)")
    queries = write_queries("-- name: copy_books\ncopy books (pages) from stdin")

    @queries.bind
    async def copy_books(db: Executor, *, rows: Iterable[Book]) -> int: ...

    reload_on_change(queries)
    rewrite(queries, f"-- name: copy_books\n{broken}")
    with caplog.at_level(logging.ERROR, "app.db"):
        assert await copy_books(db, rows=(Book(pages) for pages in (1, 2))) == 2
    (record,) = caplog.records
    assert place in record.getMessage()
    assert [pages for (pages,) in await db.fetch("select pages from books order by pages")] == [1, 2]


async def test_what_was_never_good_stays_an_error(db: Database, write_queries: WriteQueries) -> None:
    queries = write_queries("-- name: get_one\nselect 1 where false")

    @queries.bind
    async def get_one(db: Executor) -> int: ...

    reload_on_change(queries)
    with pytest.raises(NotFound):
        await get_one(db)
    broken = write_queries("-- name: get_none\nselect nope")

    @broken.bind
    async def get_none(db: Executor) -> int: ...

    reload_on_change(broken)
    with pytest.raises(BindingError, match='column "nope" does not exist'):
        await get_none(db)
