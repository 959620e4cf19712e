"""psycopg 3 in its C implementation, with AsyncConnectionPool.

Connections are in autocommit mode, so that a single statement is one round trip, and `prepare_threshold=0` prepares
each statement when it is first run instead of the fifth time. Results are binary, and args_row() makes rows the
dataclass: both are faster here than text and class_row(), whose keywords the order of the columns makes unnecessary.
Pipeline mode is not used: it makes this transaction slower.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from psycopg import AsyncConnection
from psycopg.rows import TupleRow, args_row, scalar_row
from psycopg_pool import AsyncConnectionPool

from benchmarks.peers.stack import ADD_LOAN, GET_BOOK, LIST_BOOKS, POOL_SIZE, READER, Book, Stack, Stacks

GET, LIST, ADD = GET_BOOK.format(key="%s"), LIST_BOOKS.format(key="%s"), ADD_LOAN.format(key="%s", reader="%s")
SETTINGS = {"autocommit": True, "prepare_threshold": 0}
BOOKS = args_row(Book)
Connection = AsyncConnection[TupleRow]


@asynccontextmanager
async def open_stacks(dsn: str, _: Path, tasks: int) -> AsyncGenerator[Stacks]:
    """One stack, which all tasks share."""
    async with AsyncConnectionPool(dsn, min_size=POOL_SIZE, max_size=POOL_SIZE, kwargs=SETTINGS, open=False) as pool:
        await pool.wait()
        yield {"psycopg 3, its pool": [stack(pool)] * tasks}


def stack(pool: AsyncConnectionPool[Connection]) -> Stack:
    """The operations on connections of this pool."""

    async def get_book(key: int) -> object:
        async with pool.connection() as connection:
            return await one_book(connection, key)

    async def list_books(key: int) -> list[Book]:
        async with pool.connection() as connection, connection.cursor(row_factory=BOOKS, binary=True) as cursor:
            await cursor.execute(LIST, (key,))
            return await cursor.fetchall()

    async def add_loan(key: int) -> int:
        async with pool.connection() as connection:
            return await new_loan(connection, key)

    async def lend_book(key: int) -> int:
        async with pool.connection() as connection, connection.transaction():
            book = await one_book(connection, key)
            return await new_loan(connection, book.id)

    return Stack(get_book, list_books, add_loan, lend_book)


async def one_book(connection: Connection, key: int) -> Book:
    """The book of this key."""
    async with connection.cursor(row_factory=BOOKS, binary=True) as cursor:
        await cursor.execute(GET, (key,))
        book = await cursor.fetchone()
    assert book is not None
    return book


async def new_loan(connection: Connection, key: int) -> int:
    """Insert a loan and return its key."""
    async with connection.cursor(row_factory=scalar_row, binary=True) as cursor:
        await cursor.execute(ADD, (key, READER))
        loan: int | None = await cursor.fetchone()
    assert loan is not None
    return loan
