"""Advisory locks: one at a time, by a name, among all who use the database.

The lock belongs to a session and not to a transaction, since one that is open as long as the work takes is what servers
are set up to end. So it needs a connection that nobody else touches, and the pool's reset is what gives it back after
an exception. If that connection breaks, the server gives the lock to the next: the block is cancelled.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg

from app.db.connection import Connection
from app.db.errors import DatabaseUnavailable, LockLost

# The server's own limit is lifted, so that only the time-out that was asked for counts; the pool resets it.
_LOCK = "select set_config('statement_timeout', '0', false), pg_advisory_lock(hashtextextended($1, 0))"
_TRY_LOCK = "select pg_try_advisory_lock(hashtextextended($1, 0))"
_UNLOCK = "select pg_advisory_unlock(hashtextextended($1, 0))"


@asynccontextmanager
async def hold_lock(loan: AbstractAsyncContextManager[Connection], name: str, wait: float) -> AsyncGenerator[None]:
    """The lock for the block; StatementTimeout when it is not free within `wait` seconds, LockLost when it was lost."""
    async with loan as connection:
        await connection.execute(_LOCK, name, timeout=wait)
        async with _unless_lost(connection, name):
            yield


@asynccontextmanager
async def try_lock(loan: AbstractAsyncContextManager[Connection], name: str) -> AsyncGenerator[bool]:
    """Whether the lock was free, and if so the lock for the block; LockLost when it was lost."""
    async with loan as connection:
        if not await connection.fetchval(_TRY_LOCK, name):
            yield False
            return
        async with _unless_lost(connection, name):
            yield True


@asynccontextmanager
async def _unless_lost(connection: Connection, name: str) -> AsyncGenerator[None]:
    server, now = connection.driver, asyncio.get_running_loop().time
    end = asyncio.timeout(None)

    def on_loss(_: object) -> None:
        end.reschedule(now())

    server.add_termination_listener(on_loss)
    try:
        async with end:
            yield
    except TimeoutError as error:
        if not end.expired():
            raise
        raise LockLost(_lost(name)) from error
    finally:
        server.remove_termination_listener(on_loss)
    try:
        await connection.execute(_UNLOCK, name)
    except (DatabaseUnavailable, asyncpg.InterfaceError) as error:
        raise LockLost(_lost(name)) from error


def _lost(name: str) -> str:
    return f"the connection that held the lock {name!r} broke: others may have it by now"
