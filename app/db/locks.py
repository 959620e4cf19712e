"""Optional: advisory locks, one holder of a name at a time among all users of the database.

The lock belongs to a session, not to a transaction, because servers are often set up to end long transactions. So it
needs a connection of its own, and the pool's reset releases it after an exception. If the connection is lost, the
server gives the lock to the next holder, and the block is cancelled.
"""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import asyncpg

from app.db.errors import DatabaseUnavailable, LockLost
from app.db.pool.options import PoolOptions
from app.db.raw_sql import RawConnection, RawSQL
from app.db.session.session import Session

# The server's own limit is lifted, so that only the requested time-out counts. The pool resets it.
_LOCK = "select set_config('statement_timeout', '0', false), pg_advisory_lock(hashtextextended($1, 0))"
_TRY_LOCK = "select pg_try_advisory_lock(hashtextextended($1, 0))"
_UNLOCK = "select pg_advisory_unlock(hashtextextended($1, 0))"


class LockConnection(RawConnection, Protocol):
    """What a lock needs of a connection."""

    async def execute(self, sql: str, *arguments: object, timeout: float | None = None) -> str:
        """Run raw SQL."""
        ...

    async def fetchval(self, sql: str, *arguments: object) -> Any:
        """Return the first column of the first row of raw SQL."""
        ...

    @property
    def driver(self) -> Session:
        """asyncpg's own connection."""
        ...


class Locks(RawSQL):
    """The advisory locks of the Database."""

    options: PoolOptions

    @abstractmethod
    def acquire(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[LockConnection]:
        """Lend a connection for the block."""

    def lock(self, name: str, *, timeout: float | None = None) -> AbstractAsyncContextManager[None]:
        """Hold the advisory lock of this name for the block: one holder at a time, on any machine.

        Waits up to `timeout` seconds (default: acquire_timeout) for a connection and as long again for the lock. Raises
        PoolTimeout or StatementTimeout then. When the connection is lost, cancels the block and raises LockLost.
        """
        wait = self.options.acquire_timeout if timeout is None else timeout
        return hold_lock(self.acquire(timeout=wait), name, wait)

    def try_lock(self, name: str) -> AbstractAsyncContextManager[bool]:
        """Yield whether the lock of this name was free, and hold it for the block if so."""
        return try_lock(self.acquire(), name)


@asynccontextmanager
async def hold_lock(lease: AbstractAsyncContextManager[LockConnection], name: str, wait: float) -> AsyncGenerator[None]:
    """Hold the lock for the block.

    Raises StatementTimeout when it is not free within `wait` seconds, and LockLost when the connection is lost.
    """
    async with lease as connection:
        await connection.execute(_LOCK, name, timeout=wait)
        async with _unless_lost(connection, name):
            yield


@asynccontextmanager
async def try_lock(lease: AbstractAsyncContextManager[LockConnection], name: str) -> AsyncGenerator[bool]:
    """Yield whether the lock was free, and hold it for the block if so. Raises LockLost when the connection is lost."""
    async with lease as connection:
        if not await connection.fetchval(_TRY_LOCK, name):
            yield False
            return
        async with _unless_lost(connection, name):
            yield True


@asynccontextmanager
async def _unless_lost(connection: LockConnection, name: str) -> AsyncGenerator[None]:
    driver, now = connection.driver, asyncio.get_running_loop().time
    end = asyncio.timeout(None)

    def on_loss(_: object) -> None:
        end.reschedule(now())

    driver.add_termination_listener(on_loss)
    try:
        async with end:
            yield
    except TimeoutError as error:
        if not end.expired():
            raise
        raise LockLost(_lost(name)) from error
    finally:
        driver.remove_termination_listener(on_loss)
    try:
        await connection.execute(_UNLOCK, name)
    except (DatabaseUnavailable, asyncpg.InterfaceError) as error:
        raise LockLost(_lost(name)) from error


def _lost(name: str) -> str:
    return f"the connection that held the lock {name!r} broke: others may have it by now"
