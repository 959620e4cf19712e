"""A deadline for bound functions: an executor that stands for another one until a moment.

    article = await articles.get_article(db.within(0.5), slug=slug, viewer_id=None)

It is a view of the executor and no argument of the function, whose arguments are exactly the placeholders; and it is a
moment, not a length of time, so that all statements that run through one view share what is left.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Iterable
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from app.db.errors import StatementTimeout

if TYPE_CHECKING:
    from app.db.queries import Query


class Punctual(Protocol):
    """An executor that can be told the moment, of the monotonic clock, at which it has to give up."""

    def run_query(
        self, query: "Query", arguments: tuple[object, ...], ends: float | None = None
    ) -> Awaitable[list[Any]]:
        """As Executor's; StatementTimeout when the statement is not done by then, and the server stops it, too."""
        ...

    def stream_query(self, query: "Query", arguments: tuple[object, ...]) -> AbstractAsyncContextManager[Any]:
        """As Executor's."""
        ...

    async def copy_rows(self, query: "Query", rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        """As Executor's."""
        ...


class Deadline:
    """An executor until so many seconds from now; after that each statement is a StatementTimeout, or a PoolTimeout."""

    __slots__ = ("_ends", "_executor")

    def __init__(self, executor: Punctual, seconds: float) -> None:
        self._executor = executor
        self._ends = monotonic() + seconds

    async def run_query(self, query: "Query", arguments: tuple[object, ...]) -> list[Any]:
        """What a bound function calls; see Executor."""
        return await self._executor.run_query(query, arguments, self._ends)

    def stream_query(self, query: "Query", arguments: tuple[object, ...]) -> AbstractAsyncContextManager[Any]:
        """What a bound stream calls: it has no deadline, since its reader sets its pace."""
        return self._executor.stream_query(query, arguments)

    async def copy_rows(self, query: "Query", rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        """What a bound copy calls: StatementTimeout at the deadline, and then nothing was copied."""
        try:
            async with asyncio.timeout(self._ends - monotonic()):
                return await self._executor.copy_rows(query, rows)
        except TimeoutError as error:
            raise StatementTimeout(f"{query.function} was not done by its deadline; nothing was copied") from error


def seconds_until(ends: float | None) -> float | None:
    """What is left until then, None for ever; the driver refuses to begin with 0 or less."""
    return None if ends is None else ends - monotonic()
