"""This layer, as docs/sql-files.md teaches it: statements in a file, functions bound to them, rows as dataclasses.

Single statements run on the Database, which lends a connection for each. All settings but the size of the pool are the
defaults, with the test of idle connections.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from app.db import Database, Executor, Queries
from benchmarks.peers.stack import ADD_LOAN, GET_BOOK, LIST_BOOKS, OURS, POOL_SIZE, READER, Book, Stack, Stacks

SQL = f"""
-- name: get_book
{GET_BOOK.format(key=":id")};
-- name: list_books
{LIST_BOOKS.format(key=":after")};
-- name: add_loan
{ADD_LOAN.format(key=":book_id", reader=":reader")};
"""


@asynccontextmanager
async def open_stacks(dsn: str, folder: Path, tasks: int) -> AsyncGenerator[Stacks]:
    """One stack, which all tasks share."""
    path = folder / "books.sql"
    path.write_text(SQL, encoding="utf-8")
    async with Database(dsn, min_size=POOL_SIZE, max_size=POOL_SIZE) as db:
        yield {OURS: [stack(db, Queries(path))] * tasks}


def stack(db: Database, queries: Queries) -> Stack:
    """The bound functions on this database."""

    @queries.bind
    async def get_book(db: Executor, *, id: int) -> Book:  # noqa: A002 - the column's name
        """Return the book."""
        ...

    @queries.bind
    async def list_books(db: Executor, *, after: int) -> list[Book]:
        """Return the books after this one."""
        ...

    @queries.bind
    async def add_loan(db: Executor, *, book_id: int, reader: str) -> int:
        """Insert a loan and return its key."""
        ...

    async def lend_book(key: int) -> int:
        async with db.transaction() as tx:
            book = await get_book(tx, id=key)
            return await add_loan(tx, book_id=book.id, reader=READER)

    return Stack(
        lambda key: get_book(db, id=key),
        lambda key: list_books(db, after=key),
        lambda key: add_loan(db, book_id=key, reader=READER),
        lend_book,
    )
