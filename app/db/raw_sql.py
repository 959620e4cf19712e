"""Raw SQL on any connection of a pool, committed by itself."""

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import asyncpg


class RawConnection(Protocol):
    """A connection that runs raw SQL."""

    async def execute(self, sql: str, *arguments: object) -> str: ...  # noqa: D102 - as RawSQL's
    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]: ...  # noqa: D102 - as RawSQL's
    async def fetchrow(self, sql: str, *arguments: object) -> asyncpg.Record | None: ...  # noqa: D102 - as RawSQL's
    async def fetchval(self, sql: str, *arguments: object) -> Any: ...  # noqa: D102 - as RawSQL's


class RawSQL(ABC):
    """The raw SQL methods of the Database. Each borrows a connection with acquire()."""

    @abstractmethod
    def acquire(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[RawConnection]:
        """Lend a connection for the block."""

    async def execute(self, sql: str, *arguments: object) -> str:
        """Run raw SQL on any connection, committed by itself. Return the last command tag, `UPDATE 3`."""
        async with self.acquire() as connection:
            return await connection.execute(sql, *arguments)

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Return all rows of raw SQL, run on any connection."""
        async with self.acquire() as connection:
            return await connection.fetch(sql, *arguments)

    async def fetchrow(self, sql: str, *arguments: object) -> asyncpg.Record | None:
        """Return the first row of raw SQL or None, run on any connection."""
        async with self.acquire() as connection:
            return await connection.fetchrow(sql, *arguments)

    async def fetchval(self, sql: str, *arguments: object) -> Any:
        """Return the first column of the first row of raw SQL or None, run on any connection."""
        async with self.acquire() as connection:
            return await connection.fetchval(sql, *arguments)
