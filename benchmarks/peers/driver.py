"""asyncpg 0.32 alone, the baseline.

Each task has a connection to itself, so nothing is paid for a pool, and rows stay the driver's records. At most
POOL_SIZE tasks run, also where other stacks have more tasks that share as many connections: what is measured is what
these connections can do. fetchrow(), fetch() and fetchval() prepare each statement once for each connection.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg

from benchmarks.peers.stack import ADD_LOAN, BASELINE, GET_BOOK, LIST_BOOKS, POOL_SIZE, READER, Stack, Stacks

GET, LIST, ADD = GET_BOOK.format(key="$1"), LIST_BOOKS.format(key="$1"), ADD_LOAN.format(key="$1", reader="$2")


@asynccontextmanager
async def open_stacks(dsn: str, _: Path, tasks: int) -> AsyncGenerator[Stacks]:
    """One stack for each connection."""
    async with AsyncExitStack() as opened:
        stacks: list[Stack] = []
        for _number in range(min(tasks, POOL_SIZE)):
            connection = await asyncpg.connect(dsn)
            opened.push_async_callback(connection.close)
            stacks.append(stack(connection))
        yield {BASELINE: stacks}


def stack(connection: "asyncpg.Connection[asyncpg.Record]") -> Stack:
    """The operations on one connection."""

    async def get_book(key: int) -> object:
        return await connection.fetchrow(GET, key)

    async def list_books(key: int) -> list[asyncpg.Record]:
        return await connection.fetch(LIST, key)

    async def add_loan(key: int) -> int:
        return await connection.fetchval(ADD, key, READER)

    async def lend_book(key: int) -> int:
        async with connection.transaction():
            book = await connection.fetchrow(GET, key)
            assert book is not None
            return await connection.fetchval(ADD, book["id"], READER)

    return Stack(get_book, list_books, add_loan, lend_book)
