"""Optional: rows that are fetched while they are consumed, by a server-side cursor in a transaction."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from app.db.binding.query import Query
from app.db.errors import NotConnected
from app.db.session.session import Session
from app.db.session.transaction import TransactionBlock

if TYPE_CHECKING:
    from asyncpg import Record
    from asyncpg.cursor import Cursor


class Rows:
    """The rows of a stream, to be read once. After its `async with` block, asking for one raises NotConnected."""

    def __init__(self, session: Session, query: Query, arguments: tuple[object, ...]) -> None:
        self._session = session
        self._query = query
        self._arguments = arguments
        self._cursor: Cursor[Record] | None = None
        self._build: Callable[..., list[Any]] = list
        self._ready: Iterator[Any] = iter(())
        # How long the stream waited for its server; what the consumer does with a row is not the statement's time.
        self._seconds = 0.0

    async def begin(self) -> Self:
        """Open the cursor and fetch the first rows, so that an invalid statement fails at once."""
        session, query = self._session, self._query
        session.start(query.function, query.text if query.touches_session else None)
        try:
            with session.awaiting_answer(), self._timed():
                try:
                    await self._open()
                except Exception as error:
                    if not await session.is_better_prepared(error, query, None):
                        raise
                    await self._open()
        except BaseException as error:
            # A migration may have changed the columns: the next stream prepares the statement again.
            session.forget_query(query)
            self._count(error)
            session.raise_translated(error, query, self._arguments)
            raise
        await self._fetch()
        return self

    async def _open(self) -> None:
        prepared = self._session.prepared.get(self._query) or await self._session.prepare_query(self._query)
        self._cursor, self._build = await prepared.cursor(self._arguments), prepared.rows

    def end(self) -> None:
        """Yield no more rows."""
        if self._cursor is not None:
            self._count()
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
            with self._session.awaiting_answer(), self._timed():
                records = await self._cursor.fetch(self._query.prefetch)
            self._session.figures.of_query(self._query).rows += len(records)
            self._ready = iter(self._build(records))
        except BaseException as error:
            if isinstance(error, Exception):
                # For the next stream: the rows of this one are lost.
                await self._session.is_better_prepared(error, self._query, None)
            self._cursor = None
            self._count(error)
            self._session.raise_translated(error, self._query, self._arguments)
            raise

    def _count(self, error: BaseException | None = None) -> None:
        self._session.count(self._session.figures.of_query(self._query), error, self._seconds)

    @contextmanager
    def _timed(self) -> Generator[None]:
        began = monotonic()
        try:
            yield
        finally:
            self._seconds += monotonic() - began


class Stream:
    """`async with` yields the rows on a session that the caller has, in the caller's transaction if there is one.

    A stream that is left early in the caller's transaction keeps its cursor until that transaction ends.
    """

    def __init__(self, session: Session, query: Query, arguments: tuple[object, ...]) -> None:
        self._session = session
        self._query = query
        self._rows = Rows(session, query, arguments)
        self._block = None if session.is_in_transaction() else TransactionBlock(session)

    async def __aenter__(self) -> Rows:
        self._session.refuse_misuse(self._query.function)
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
