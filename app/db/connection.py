"""The connection that a caller is lent, and the context manager that lends it."""

from asyncio import current_task
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import replace
from threading import get_ident
from types import TracebackType
from typing import Any, TypeVar

import asyncpg

from app.db.bulk import copy_rows
from app.db.deadline import Deadline
from app.db.errors import NotConnected
from app.db.lease import Lease
from app.db.local_settings import Settings, local_settings
from app.db.queries import Executor, Query
from app.db.server_connection import ServerConnection
from app.db.streams import Stream
from app.db.transaction import DRIVER_ERRORS, Isolation, TransactionBlock, TransactionOptions, options_of

T = TypeVar("T")


class Connection:
    """A connection lent by `acquire()` or `transaction()`: runs bound functions and raw SQL until given back."""

    __slots__ = ("_server",)

    def __init__(self, server: ServerConnection) -> None:
        self._server: ServerConnection | None = server

    def run_query(self, query: Query, arguments: tuple[object, ...], ends: float | None = None) -> Awaitable[list[Any]]:
        """What a bound function calls; see Executor."""
        server = self._lent()
        home = server.home
        if home is not None and (current_task(home.loop) is None or get_ident() != home.thread):
            raise home.refusal()
        return server.run_query(query, arguments, ends)

    def within(self, seconds: float) -> Executor:
        """This connection with a deadline so many seconds from now: a bound function raises StatementTimeout then."""
        return Deadline(self, seconds)

    async def run(self, function: Callable[..., Awaitable[T]], *args: object, **kwargs: object) -> T:
        """`await function(tx, …)` in a transaction, in a savepoint inside one; only Database.run() runs it again.

        That takes the whole transaction, maybe on another connection, and neither is this connection's to give.
        """
        async with self.transaction() as tx:
            return await function(tx, *args, **kwargs)

    def stream_query(self, query: Query, arguments: tuple[object, ...]) -> Stream:
        """What a bound stream calls; see Executor."""
        return Stream(self._lent(), query, arguments)

    async def copy_rows(self, query: Query, rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        """What a bound copy calls; see Executor."""
        server = self._lent()
        server.refuse_misuse(query.function)
        return await copy_rows(server, query, rows)

    @asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: Isolation | None = None,
        readonly: bool = False,
        deferrable: bool = False,
        settings: Settings | None = None,
    ) -> AsyncGenerator["Connection"]:
        """A transaction, or a savepoint inside one: committed when the block ends, rolled back on any exception.

        `settings` hold until its end, as in Database.transaction(). Raises ValueError for options on a savepoint, which
        PostgreSQL cannot give it, BadArgument for settings that it refuses, TransactionAborted when the block
        ends normally after a statement in it failed, CommitUnknown when nobody answered COMMIT, and DatabaseUnavailable
        when the connection was lost before.
        """
        server = self._lent()
        server.refuse_misuse("a transaction")
        async with TransactionBlock(server, _options(isolation, settings, readonly=readonly, deferrable=deferrable)):
            yield self

    async def execute(self, sql: str, *arguments: object, timeout: float | None = None) -> str:
        """Run raw SQL, several statements where there are no arguments; the last one's command tag, `UPDATE 3`."""
        with self._raw(sql, timeout) as server:
            return await server.execute(sql, *arguments, timeout=timeout)

    async def executemany(
        self, sql: str, arguments: Iterable[Sequence[object]], *, timeout: float | None = None
    ) -> None:
        """Run raw SQL once for each sequence of arguments, all or none."""
        with self._raw(sql, timeout) as server:
            await server.executemany(sql, arguments, timeout=timeout)

    async def fetch(self, sql: str, *arguments: object, timeout: float | None = None) -> list[asyncpg.Record]:
        """All rows of raw SQL."""
        with self._raw(sql, timeout) as server:
            return await server.fetch(sql, *arguments, timeout=timeout)

    async def fetchrow(self, sql: str, *arguments: object, timeout: float | None = None) -> asyncpg.Record | None:
        """The first row of raw SQL, or None."""
        with self._raw(sql, timeout) as server:
            return await server.fetchrow(sql, *arguments, timeout=timeout)

    async def fetchval(self, sql: str, *arguments: object, timeout: float | None = None) -> Any:
        """The first column of the first row of raw SQL, or None."""
        with self._raw(sql, timeout) as server:
            return await server.fetchval(sql, *arguments, timeout=timeout)

    @property
    def driver(self) -> ServerConnection:
        """asyncpg's own connection for what is not here (cursors, listeners, subscriptions to errors).

        Its session is reset afterwards. Its methods wait for the server for as long as their own `timeout` says.
        """
        server = self._lent()
        server.before_raw("-- asyncpg's own methods")
        return server

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._lent().is_in_transaction()

    @contextmanager
    def _raw(self, sql: str, timeout: float | None) -> Generator[ServerConnection]:
        server = self._lent()
        server.refuse_misuse("raw SQL")
        server.before_raw(sql)
        try:
            with server.awaiting_answer() if timeout is None else nullcontext():
                yield server
        except DRIVER_ERRORS as error:
            server.failed(error)
            if own := server.own_error(error, "raw SQL"):
                raise own from error
            raise
        except BaseException as error:
            server.failed(error)
            raise

    def _lent(self) -> ServerConnection:
        if self._server is None:
            raise NotConnected("this connection was given back when its `async with` block ended; use it only inside")
        return self._server

    def give_back(self) -> None:
        """End the loan: from now on every use raises NotConnected."""
        self._server = None


def _options(
    isolation: Isolation | None, settings: Settings | None, *, readonly: bool, deferrable: bool
) -> TransactionOptions:
    options = options_of(isolation, readonly, deferrable)
    return replace(options, settings=local_settings(settings)) if settings else options


class Loan:
    """`async with` lends a connection for the block; `place` is the file and line where that was asked for."""

    __slots__ = ("_connection", "_lease", "_place", "_server", "_timeout")

    def __init__(self, lease: Lease, timeout: float, place: tuple[str, int]) -> None:
        self._lease = lease
        self._timeout = timeout
        self._place = place

    async def __aenter__(self) -> Connection:
        return self._begin(self._lease.take_fresh() or await self._lease.take(self._timeout))

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _begin(self, server: ServerConnection) -> Connection:
        self._server = server
        server.acquired_at = self._place
        self._connection = connection = Connection(server)
        return connection

    def _end(self) -> None:
        self._connection.give_back()
        self._lease.give(self._server)


class TransactionLoan(Loan):
    """`async with` lends a connection in a transaction for the block."""

    __slots__ = ("_block", "_options")

    def __init__(self, lease: Lease, timeout: float, place: tuple[str, int], options: TransactionOptions) -> None:
        super().__init__(lease, timeout, place)
        self._options = options

    async def __aenter__(self) -> Connection:
        connection = self._begin(self._lease.take_fresh() or await self._lease.take(self._timeout))
        self._block = block = TransactionBlock(self._server, self._options)
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
