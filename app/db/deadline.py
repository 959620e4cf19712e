"""Optional: a deadline for bound functions.

    article = await articles.get_article(db.within(0.5), slug=slug, viewer_id=None, generation=None)

The deadline is an executor, not an argument: the arguments of a bound function are exactly its placeholders. It is a
moment, not a length of time, so that all statements that run through one executor share what is left.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Iterable
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import Any, Protocol

from app.db.binding.query import Query
from app.db.errors import StatementTimeout


class TimedExecutor(Protocol):
    """An executor that accepts a moment of time.monotonic() at which it gives up."""

    def run_query(self, query: Query, arguments: tuple[object, ...], ends: float | None = None) -> Awaitable[list[Any]]:
        """As Executor's. Raises StatementTimeout at the moment `ends`, and stops the statement on the server."""
        ...

    def stream_query(self, query: Query, arguments: tuple[object, ...]) -> AbstractAsyncContextManager[Any]:
        """As Executor's."""
        ...

    async def copy_rows(self, query: Query, rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        """As Executor's."""
        ...


class Deadline:
    """An executor with a deadline, in seconds from now. After it, statements raise StatementTimeout or PoolTimeout."""

    __slots__ = ("_ends", "_executor")

    def __init__(self, executor: TimedExecutor, seconds: float) -> None:
        self._executor = executor
        self._ends = monotonic() + seconds

    async def run_query(self, query: Query, arguments: tuple[object, ...]) -> list[Any]:
        """Run a bound function; see Executor."""
        return await self._executor.run_query(query, arguments, self._ends)

    def stream_query(self, query: Query, arguments: tuple[object, ...]) -> AbstractAsyncContextManager[Any]:
        """Run a bound stream. It has no deadline, because its reader sets its pace."""
        return self._executor.stream_query(query, arguments)

    async def copy_rows(self, query: Query, rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        """Run a bound copy. Raises StatementTimeout at the deadline; then nothing was copied."""
        try:
            async with asyncio.timeout(self._ends - monotonic()):
                return await self._executor.copy_rows(query, rows)
        except TimeoutError as error:
            raise StatementTimeout(f"{query.function} was not done by its deadline; nothing was copied") from error
