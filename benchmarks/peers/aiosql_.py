"""aiosql with its asyncpg adapter on asyncpg.Pool.

`record_class` makes each row the dataclass. The functions get the pool for single statements, and the adapter acquires
and releases a connection itself; the transaction acquires one for both statements. The pool does not reset released
connections: these statements leave no state in a session, and the reset would be one more round trip for each call.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosql
import asyncpg

from benchmarks.peers.stack import ADD_LOAN, GET_BOOK, LIST_BOOKS, POOL_SIZE, READER, Book, Stack, Stacks

SQL = f"""
-- name: get_book(key)^
-- record_class: Book
{GET_BOOK.format(key=":key")};
-- name: list_books(key)
-- record_class: Book
{LIST_BOOKS.format(key=":key")};
-- name: add_loan(key, reader)<!
{ADD_LOAN.format(key=":key", reader=":reader")};
"""


async def no_reset(_: object) -> None:
    """Leave the session as it is."""


@asynccontextmanager
async def open_stacks(dsn: str, _: Path, tasks: int) -> AsyncGenerator[Stacks]:
    """One stack, which all tasks share."""
    queries = aiosql.from_str(SQL, "asyncpg", record_classes={"Book": Book})
    async with asyncpg.create_pool(dsn, min_size=POOL_SIZE, max_size=POOL_SIZE, reset=no_reset) as pool:
        yield {"aiosql, asyncpg.Pool": [stack(pool, queries)] * tasks}


def stack(pool: "asyncpg.Pool[asyncpg.Record]", queries: Any) -> Stack:
    """The functions that aiosql made of the SQL, on this pool."""

    async def list_books(key: int) -> list[Book]:
        return [book async for book in queries.list_books(pool, key=key)]

    async def lend_book(key: int) -> int:
        async with pool.acquire() as connection, connection.transaction():
            book = await queries.get_book(connection, key=key)
            return await queries.add_loan(connection, key=book.id, reader=READER)

    return Stack(
        lambda key: queries.get_book(pool, key=key),
        list_books,
        lambda key: queries.add_loan(pool, key=key, reader=READER),
        lend_book,
    )
