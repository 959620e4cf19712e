"""Optional: streams on the Database itself, each on a connection that is lent for its block."""

import asyncio
import warnings
from types import TracebackType

from app.db.binding.query import Query
from app.db.counting.frames import place_of_caller
from app.db.errors import DatabaseUnavailable, NotConnected
from app.db.pool.pool import Pool
from app.db.pool.pooled_session import PooledSession
from app.db.session.driver import DRIVER_ERRORS
from app.db.session.session import Session
from app.db.session.stream import Rows
from app.db.session.transaction import aborted, commit


class LeasedStream:
    """`async with` yields the rows, on a connection that is lent for the block and returned in every case."""

    def __init__(self, pool: Pool, timeout: float, query: Query, arguments: tuple[object, ...]) -> None:
        self._pool = pool
        self._timeout = timeout
        self._query = query
        self._arguments = arguments
        self._pooled: PooledSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Rows:
        place = place_of_caller()
        pooled = await self._take(place)
        try:
            return await self._begin(pooled.session)
        except DatabaseUnavailable:
            if not self._query.reads_only or not pooled.was_idle:
                raise
        # The connection died while it was idle, and no row was read.
        self._pool.counters.retries += 1
        pooled = await self._take(place)
        return await self._begin(pooled.session)

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._rows.end()
        try:
            if exc is None:
                await self._commit(self._leased().session)
        except DRIVER_ERRORS as error:
            self._leased().session.raise_translated(error, self._query, self._arguments)
            raise
        finally:
            self._give()

    def __del__(self) -> None:
        if self._pooled is not None and self._loop is not None and not self._loop.is_closed():
            warnings.warn(
                f"the stream {self._query.function} was dropped, not left: use `async with`", ResourceWarning, 2
            )
            # The garbage collector runs in any thread.
            self._loop.call_soon_threadsafe(_give, self._pool, self._pooled)

    async def _commit(self, session: Session) -> None:
        if self._query.reads_only:
            await session.send("commit", self._query.function)
            return
        state = session.transaction_state
        if state.in_doubt and not session.is_closed():
            raise aborted("transaction", state.failure) from state.failure
        await commit(session)

    async def _take(self, place: tuple[str, int]) -> PooledSession:
        self._pooled = pooled = self._pool.take_fresh() or await self._pool.take(self._timeout)
        self._loop = asyncio.get_running_loop()
        pooled.place = place
        return pooled

    async def _begin(self, session: Session) -> Rows:
        self._rows = Rows(session, self._query, self._arguments)
        try:
            return await self._begin_transaction(session)
        except BaseException:
            self._give()
            raise

    async def _begin_transaction(self, session: Session) -> Rows:
        session.transaction_state.begin()
        try:
            # Not asyncpg's own transaction: that one complains when a reset ends it.
            await session.send(f"begin; {session.options.settings_of_transactions}", self._query.function)
        except Exception as error:
            session.raise_translated(error, self._query, self._arguments)
            raise
        return await self._rows.begin()

    def _give(self) -> None:
        pooled, self._pooled = self._leased(), None
        _give(self._pool, pooled)

    def _leased(self) -> PooledSession:
        if self._pooled is None:
            raise NotConnected(f"the stream {self._query.function} is not open")
        return self._pooled


def _give(pool: Pool, pooled: PooledSession) -> None:
    """Return a session at once, in any state. If it is in a transaction, that is rolled back in the background.

    Nothing is awaited here, so a cancellation cannot interrupt it.
    """
    session = pooled.session
    if not session.is_closed() and session.is_in_transaction():
        session.needs_reset()
    pool.give(pooled)
