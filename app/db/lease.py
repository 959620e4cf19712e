"""Who holds which connection, and who waits: first come, first served, on top of asyncpg.Pool, which connects."""

import asyncio
from collections import deque
from typing import Any

import asyncpg
from asyncpg.pool import Pool

from app.db.connection import ServerConnection
from app.db.errors import NotConnected, PoolTimeout
from app.db.server import connect_error


class Lease:
    """The connections of one pool: at most `max_size`, each lent to one holder at a time."""

    def __init__(self, pool: "Pool[asyncpg.Record]", dsn: str, max_size: int, connect_timeout: float) -> None:
        self.pool = pool
        self.dsn = dsn
        self.max_size = max_size
        self.connect_timeout = connect_timeout
        self.size = 0
        self.open_connections: set[ServerConnection] = set()
        self.idle: list[ServerConnection] = []
        self.waiters: deque[asyncio.Future[ServerConnection | None]] = deque()
        self.closing = False
        self.all_returned = asyncio.Event()

    def take_idle(self) -> ServerConnection | None:
        """The connection that was used last and is alive, or None."""
        while self.idle:
            connection = self.idle.pop()
            if not connection.is_closed():
                return connection
            self._forget(connection)
        return None

    async def take(self, timeout: float) -> ServerConnection:
        """A connection within `timeout` seconds: an idle one, a new one, or the next that is given back.

        Raises PoolTimeout, DatabaseUnavailable when a new connection cannot be opened, NotConnected when closing.
        """
        try:
            async with asyncio.timeout(timeout):
                while True:
                    if self.closing:
                        raise NotConnected("the Database is closed; it lends no connection any more")
                    connection = self.take_idle() or (await self.open() if self.size < self.max_size else None)
                    connection = connection or await self._wait()
                    if connection is not None:
                        return connection
        except TimeoutError:
            raise PoolTimeout(self._describe(timeout)) from None

    async def open(self) -> ServerConnection:
        """A new connection; DatabaseUnavailable says which server and what to try."""
        self.size += 1
        try:
            proxy: Any = await self.pool.acquire(timeout=self.connect_timeout)
        except BaseException as error:
            self.size -= 1
            self._wake_one(None)
            if isinstance(error, Exception):
                raise connect_error(self.dsn, error) from error
            raise
        connection: ServerConnection = proxy.itself
        self.open_connections.add(connection)
        return connection

    async def _wait(self) -> ServerConnection | None:
        """The next connection given back, or None where one may be opened instead."""
        future = asyncio.get_running_loop().create_future()
        self.waiters.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.give_to_next(future.result())
            raise
        finally:
            if future in self.waiters:
                self.waiters.remove(future)

    async def give_back(self, connection: ServerConnection) -> None:
        """Reset the session if raw SQL ran in it, then lend it to whoever waits longest."""
        if connection.dirty and not connection.is_closed():
            try:
                await connection.reset(timeout=self.connect_timeout)
                connection.dirty = False
            except BaseException:
                connection.terminate()
                self.give_to_next(connection)
                raise
        self.give_to_next(connection)

    def give_to_next(self, connection: ServerConnection | None) -> None:
        """Lend it on, keep it, or count it out when it is closed."""
        if connection is not None and connection.is_closed():
            self._forget(connection)
            connection = None
        if not self._wake_one(connection) and connection is not None:
            self.idle.append(connection)
        if self.size == len(self.idle):
            self.all_returned.set()

    def _wake_one(self, connection: ServerConnection | None) -> bool:
        while self.waiters:
            future = self.waiters.popleft()
            if not future.done():
                future.set_result(connection)
                return True
        return False

    async def close(self, timeout: float) -> None:
        """Lend nothing more, wait up to `timeout` seconds until every connection is given back, then close them all."""
        self.closing = True
        while self._wake_one(None):
            pass
        try:
            async with asyncio.timeout(timeout):
                while self.size > len(self.idle):
                    self.all_returned.clear()
                    await self.all_returned.wait()
                await asyncio.gather(*(connection.close() for connection in self.idle))
        except TimeoutError:
            for connection in self.open_connections:
                connection.terminate()
        await self.pool.close()

    def _forget(self, connection: ServerConnection) -> None:
        self.size -= 1
        self.open_connections.discard(connection)

    def _describe(self, timeout: float) -> str:
        busy = self.size - len(self.idle)
        return (
            f"no connection became free within {timeout:g} s: {self.size} open of at most {self.max_size}, "
            f"{busy} in use, {len(self.idle)} idle, {len(self.waiters)} more waiting; "
            "raise DB_POOL_SIZE or DB_MAX_OVERFLOW, or hold connections for a shorter time"
        )
