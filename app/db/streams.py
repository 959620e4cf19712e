"""Streams: rows fetched while they are consumed, by a server-side cursor in a transaction."""

import asyncio
import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from app.db.errors import DatabaseUnavailable, NotConnected
from app.db.report import place_of_caller
from app.db.transaction import DRIVER_ERRORS, TransactionBlock, aborted, commit

if TYPE_CHECKING:
    from asyncpg import Record
    from asyncpg.cursor import Cursor

    from app.db.lease import Lease
    from app.db.queries import Query
    from app.db.server_connection import ServerConnection


class Rows:
    """The rows of a stream, once; after its `async with` block they are gone, and asking for one is NotConnected."""

    def __init__(self, server: "ServerConnection", query: "Query", arguments: tuple[object, ...]) -> None:
        self._server = server
        self._query = query
        self._arguments = arguments
        self._cursor: Cursor[Record] | None = None
        self._build: Callable[..., list[Any]] = list
        self._ready: Iterator[Any] = iter(())

    async def begin(self) -> Self:
        """Open the cursor and fetch the first rows, so that what is wrong with the statement shows at once."""
        server, query = self._server, self._query
        server.running = query.function
        if query.touches_session:
            server.touch_session(query.text)
        try:
            with server.awaiting_answer():
                try:
                    await self._open()
                except Exception as error:
                    if not await server.is_better_prepared(error, query, None):
                        raise
                    await self._open()
        except BaseException as error:
            # A migration may have changed the columns: whoever asks next gets the statement prepared anew.
            server.forget_query(query)
            server.raise_translated(error, query, self._arguments)
            raise
        await self._fetch()
        return self

    async def _open(self) -> None:
        prepared = self._server.prepared.get(self._query) or await self._server.prepare_query(self._query)
        self._cursor, self._build = await prepared.cursor(self._arguments), prepared.rows

    def end(self) -> None:
        """No more rows from now on."""
        self._cursor = None
        self._ready = iter(())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        for row in self._ready:
            return row
        await self._fetch()
        for row in self._ready:
            return row
        raise StopAsyncIteration

    async def _fetch(self) -> None:
        if self._cursor is None:
            raise NotConnected(f"the stream {self._query.function} ended with its `async with` block; use it inside")
        try:
            with self._server.awaiting_answer():
                self._ready = iter(self._build(await self._cursor.fetch(self._query.prefetch)))
        except BaseException as error:
            if isinstance(error, Exception):
                # For the next one: the rows of this are lost.
                await self._server.is_better_prepared(error, self._query, None)
            self._server.raise_translated(error, self._query, self._arguments)
            raise


class Stream:
    """`async with` yields the rows, on a connection that the caller has; in a transaction of theirs it runs in that.

    A stream that is left early in a transaction of the caller keeps its cursor until that transaction ends.
    """

    def __init__(self, server: "ServerConnection", query: "Query", arguments: tuple[object, ...]) -> None:
        self._server = server
        self._query = query
        self._rows = Rows(server, query, arguments)
        self._block = None if server.is_in_transaction() else TransactionBlock(server)

    async def __aenter__(self) -> Rows:
        self._server.refuse_misuse(self._query.function)
        if self._block is None:
            return await self._rows.begin()
        await self._block.__aenter__()
        try:
            return await self._rows.begin()
        except BaseException as error:
            await self._block.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._rows.end()
        if self._block is not None:
            await self._block.__aexit__(exc_type, exc, traceback)


class LentStream:
    """`async with` yields the rows, on a connection that is lent for the block and given back in every case."""

    def __init__(self, lease: "Lease", timeout: float, query: "Query", arguments: tuple[object, ...]) -> None:
        self._lease = lease
        self._timeout = timeout
        self._query = query
        self._arguments = arguments
        self._server: ServerConnection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Rows:
        place = place_of_caller()
        server = await self._borrow(place)
        try:
            return await self._begin(server)
        except DatabaseUnavailable:
            if not self._query.reads_only or not server.was_idle:
                raise
        # The connection had died while it was idle, and nobody has seen a row yet.
        self._lease.counters.retries += 1
        return await self._begin(await self._borrow(place))

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._rows.end()
        try:
            if exc is None:
                await self._commit(self._given())
        except DRIVER_ERRORS as error:
            self._given().raise_translated(error, self._query, self._arguments)
            raise
        finally:
            self._give_back()

    def __del__(self) -> None:
        if self._server is not None and self._loop is not None and not self._loop.is_closed():
            warnings.warn(
                f"the stream {self._query.function} was dropped, not left: use `async with`", ResourceWarning, 2
            )
            # The garbage collector runs in any thread.
            self._loop.call_soon_threadsafe(_give_back, self._lease, self._server)

    async def _commit(self, server: "ServerConnection") -> None:
        if self._query.reads_only:
            await server.send("commit", self._query.function)
            return
        if server.in_doubt and not server.is_closed():
            raise aborted("transaction", server.failure) from server.failure
        await commit(server)

    async def _borrow(self, place: tuple[str, int]) -> "ServerConnection":
        self._server = server = self._lease.take_fresh() or await self._lease.take(self._timeout)
        self._loop = asyncio.get_running_loop()
        server.acquired_at = place
        return server

    async def _begin(self, server: "ServerConnection") -> Rows:
        self._rows = Rows(server, self._query, self._arguments)
        try:
            return await self._begin_transaction(server)
        except BaseException:
            self._give_back()
            raise

    async def _begin_transaction(self, server: "ServerConnection") -> Rows:
        # What failed here before is no part of it.
        server.failure, server.in_doubt = None, False
        try:
            # Not asyncpg's own transaction: that one complains where a reset ends it.
            await server.send(f"begin; {server.settings_of_transactions}", self._query.function)
        except Exception as error:
            server.raise_translated(error, self._query, self._arguments)
            raise
        return await self._rows.begin()

    def _give_back(self) -> None:
        server, self._server = self._given(), None
        _give_back(self._lease, server)

    def _given(self) -> "ServerConnection":
        if self._server is None:
            raise NotConnected(f"the stream {self._query.function} is not open")
        return self._server


def _give_back(lease: "Lease", server: "ServerConnection") -> None:
    """At once, in whatever state: a session in a transaction, or with a statement under way, is rolled back and reset.

    That happens in the background. Nothing is awaited here, so no cancellation can come in between.
    """
    if not server.is_closed() and server.is_in_transaction():
        server.dirty = True
    lease.give(server)
