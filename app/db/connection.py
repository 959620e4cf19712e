"""The connection that a caller is lent, and the context managers that lend it."""

from asyncio import current_task
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from threading import get_ident
from types import TracebackType
from typing import Any, TypeVar

import asyncpg

from app.db.binding.query import Executor, Query
from app.db.deadline import Deadline
from app.db.errors import NotConnected
from app.db.pool.pool import Pool
from app.db.pool.pooled_session import PooledSession
from app.db.session.copy import copy_rows
from app.db.session.local_settings import Settings, local_settings
from app.db.session.session import Session
from app.db.session.stream import Stream
from app.db.session.transaction import Isolation, TransactionBlock, TransactionOptions, options_of

T = TypeVar("T")


class Connection:
    """A connection lent by `acquire()` or `transaction()`. Runs bound functions and raw SQL until its block ends."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session: Session | None = session

    def run_query(self, query: Query, arguments: tuple[object, ...], ends: float | None = None) -> Awaitable[list[Any]]:
        """Run a bound function; see Executor."""
        session = self._lent()
        affinity = session.affinity
        if affinity is not None and (current_task(affinity.loop) is None or get_ident() != affinity.thread):
            raise affinity.refusal()
        return session.run_query(query, arguments, ends)

    def within(self, seconds: float) -> Executor:
        """Return this connection with a deadline in `seconds`. Bound functions raise StatementTimeout after it."""
        return Deadline(self, seconds)

    async def run(self, function: Callable[..., Awaitable[T]], *args: object, **kwargs: object) -> T:
        """Return `await function(tx, …)` in a transaction, or in a savepoint inside one.

        It runs once. Only Database.run() can repeat it, because that takes a new transaction, maybe on another
        connection.
        """
        async with self.transaction() as tx:
            return await function(tx, *args, **kwargs)

    def stream_query(self, query: Query, arguments: tuple[object, ...]) -> Stream:
        """Run a bound stream; see Executor."""
        return Stream(self._lent(), query, arguments)

    async def copy_rows(self, query: Query, rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        """Run a bound copy; see Executor."""
        session = self._lent()
        session.refuse_misuse(query.function)
        return await copy_rows(session, query, rows)

    @asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: Isolation | None = None,
        readonly: bool = False,
        deferrable: bool = False,
        settings: Settings | None = None,
    ) -> AsyncGenerator["Connection"]:
        """Run the block in a transaction, or in a savepoint inside one. Roll back on any exception, otherwise commit.

        `settings` last until its end, as in Database.transaction(). Raises ValueError for options on a savepoint, which
        PostgreSQL cannot give it; BadArgument when PostgreSQL refuses the settings; TransactionAborted when the block
        ends normally after a statement in it failed; CommitUnknown when COMMIT got no answer; DatabaseUnavailable when
        the connection was lost earlier.
        """
        session = self._lent()
        session.refuse_misuse("a transaction")
        async with TransactionBlock(session, transaction_options(isolation, settings, readonly, deferrable)):
            yield self

    async def execute(self, sql: str, *arguments: object, timeout: float | None = None) -> str:
        """Run raw SQL, which may be several statements if there are no arguments. Return the last command tag."""
        session = self._lent()
        with session.raw(sql, timeout):
            return await session.execute(sql, *arguments, timeout=timeout)

    async def executemany(
        self, sql: str, arguments: Iterable[Sequence[object]], *, timeout: float | None = None
    ) -> None:
        """Run raw SQL once for each sequence of arguments, all or none."""
        session = self._lent()
        with session.raw(sql, timeout):
            await session.executemany(sql, arguments, timeout=timeout)

    async def fetch(self, sql: str, *arguments: object, timeout: float | None = None) -> list[asyncpg.Record]:
        """Return all rows of raw SQL."""
        session = self._lent()
        with session.raw(sql, timeout):
            return await session.fetch(sql, *arguments, timeout=timeout)

    async def fetchrow(self, sql: str, *arguments: object, timeout: float | None = None) -> asyncpg.Record | None:
        """Return the first row of raw SQL, or None."""
        session = self._lent()
        with session.raw(sql, timeout):
            return await session.fetchrow(sql, *arguments, timeout=timeout)

    async def fetchval(self, sql: str, *arguments: object, timeout: float | None = None) -> Any:
        """Return the first column of the first row of raw SQL, or None."""
        session = self._lent()
        with session.raw(sql, timeout):
            return await session.fetchval(sql, *arguments, timeout=timeout)

    @property
    def driver(self) -> Session:
        """asyncpg's own connection, for what is missing here: cursors, listeners, log subscriptions.

        Its session is reset afterwards. Its methods wait for the server for their own `timeout`, in seconds.
        """
        session = self._lent()
        session.start("-- asyncpg's own methods")
        session.before_raw("-- asyncpg's own methods")
        return session

    def is_in_transaction(self) -> bool:
        """Return whether a transaction is open."""
        return self._lent().is_in_transaction()

    def end(self) -> None:
        """End the loan: from now on every use raises NotConnected."""
        self._session = None

    def _lent(self) -> Session:
        if self._session is None:
            raise NotConnected("this connection was given back when its `async with` block ended; use it only inside")
        return self._session


def transaction_options(
    isolation: Isolation | None, settings: Settings | None, readonly: bool, deferrable: bool
) -> TransactionOptions:
    """Return the options of a transaction. Raises ValueError for an invalid isolation or setting."""
    options = options_of(isolation, readonly, deferrable)
    return replace(options, settings=local_settings(settings)) if settings else options


class Lease:
    """`async with` lends a connection for the block. `place` is the file and line of the request."""

    __slots__ = ("_connection", "_place", "_pool", "_pooled", "_timeout")

    def __init__(self, pool: Pool, timeout: float, place: tuple[str, int]) -> None:
        self._pool = pool
        self._timeout = timeout
        self._place = place

    async def __aenter__(self) -> Connection:
        return self._begin(self._pool.take_fresh() or await self._pool.take(self._timeout))

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _begin(self, pooled: PooledSession) -> Connection:
        self._pooled = pooled
        pooled.place = self._place
        self._connection = connection = Connection(pooled.session)
        return connection

    def _end(self) -> None:
        self._connection.end()
        self._pool.give(self._pooled)


class TransactionLease(Lease):
    """`async with` lends a connection in a transaction for the block."""

    __slots__ = ("_block", "_options")

    def __init__(self, pool: Pool, timeout: float, place: tuple[str, int], options: TransactionOptions) -> None:
        super().__init__(pool, timeout, place)
        self._options = options

    async def __aenter__(self) -> Connection:
        connection = self._begin(self._pool.take_fresh() or await self._pool.take(self._timeout))
        self._block = block = TransactionBlock(self._pooled.session, self._options)
        try:
            await block.begin()
        except BaseException:
            self._end()
            raise
        return connection

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._block.__aexit__(exc_type, exc, traceback)
        finally:
            self._end()
