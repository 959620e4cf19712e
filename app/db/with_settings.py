"""Optional: bound functions with parameters such as a tenant, each in a transaction of its own."""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from app.db.binding.query import Executor, Query


class WithSettings:
    """An executor that runs each statement in a transaction of its own. `transaction` returns one with the settings."""

    def __init__(self, transaction: Callable[[], AbstractAsyncContextManager[Executor]]) -> None:
        self._transaction = transaction

    async def run_query(self, query: Query, arguments: tuple[object, ...]) -> list[Any]:
        """Run a bound function; see Executor."""
        async with self._transaction() as tx:
            return await tx.run_query(query, arguments)

    @asynccontextmanager
    async def stream_query(self, query: Query, arguments: tuple[object, ...]) -> AsyncGenerator[Any]:
        """Run a bound stream; see Executor."""
        async with self._transaction() as tx, tx.stream_query(query, arguments) as rows:
            yield rows

    async def copy_rows(self, query: Query, rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        """Run a bound copy; see Executor."""
        async with self._transaction() as tx:
            return await tx.copy_rows(query, rows)
