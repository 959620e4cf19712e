"""Database: the pool of connections, and itself an executor of single statements."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import asyncpg

from app.db.connection import Connection, ServerConnection, set_codecs
from app.db.errors import NotConnected
from app.db.lease import Lease
from app.db.queries import Query
from app.db.server import server_name
from app.db.transaction import Isolation


class Database:
    """A pool of connections to one PostgreSQL database.

        async with Database("postgresql://app@localhost/conduit") as db:
            article = await articles.get_article(db, slug="a-1", viewer_id=None)
            async with db.transaction() as tx: ...

    `dsn` is a URL that asyncpg understands. `min_size` connections are opened by connect(), up to `max_size` when they
    are all busy. Times are in seconds: `acquire_timeout` to wait for a free connection, `connect_timeout` to open one,
    `statement_timeout` after which the server cancels a statement (0: never), `close_timeout` for close() to wait for
    connections in use. `server_settings` are PostgreSQL's own, for every session.

    Passed to a bound function it runs one statement, committed by itself, on any idle connection.
    """

    def __init__(
        self,
        dsn: str,
        *,
        min_size: int = 5,
        max_size: int = 15,
        acquire_timeout: float = 5.0,
        connect_timeout: float = 5.0,
        statement_timeout: float = 30.0,
        close_timeout: float = 10.0,
        application_name: str = "bindery",
        server_settings: Mapping[str, str] | None = None,
    ) -> None:
        if not 0 <= min_size <= max_size or max_size < 1:
            raise ValueError(f"min_size ({min_size}) must be from 0 to max_size ({max_size}), and max_size at least 1")
        self.dsn = dsn
        self.min_size = min_size
        self.max_size = max_size
        self.acquire_timeout = acquire_timeout
        self.connect_timeout = connect_timeout
        self.close_timeout = close_timeout
        self._server_settings = {
            "application_name": application_name,
            "statement_timeout": str(round(statement_timeout * 1000)),
            **(server_settings or {}),
        }
        self._lease: Lease | None = None

    def __repr__(self) -> str:
        return f"<Database {server_name(self.dsn)}>"

    async def connect(self) -> None:
        """Open `min_size` connections, at least one; DatabaseUnavailable says which server and what to try."""
        if self._lease is not None:
            raise NotConnected("this Database is open already; close() it first")
        lease = Lease(await self._pool(), self.dsn, self.max_size, self.connect_timeout)
        try:
            for _ in range(max(self.min_size, 1)):
                lease.give_to_next(await lease.open())
        except BaseException:
            await lease.close(0)
            raise
        self._lease = lease

    async def close(self) -> None:
        """Wait for connections in use, at most `close_timeout` seconds, and close them all; twice is once."""
        lease, self._lease = self._lease, None
        if lease is not None:
            await lease.close(self.close_timeout)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def acquire(self, *, timeout: float | None = None) -> AsyncGenerator[Connection]:
        """One connection for the block, each statement committed by itself; its session is reset if raw SQL ran in it.

        Waits `timeout` seconds (default: acquire_timeout) for a free one, then raises PoolTimeout.
        """
        lease = self._open_lease()
        server = await lease.take(self.acquire_timeout if timeout is None else timeout)
        connection = Connection(server)
        try:
            yield connection
        finally:
            connection.give_back()
            await lease.give_back(server)

    @asynccontextmanager
    async def transaction(
        self,
        *,
        isolation: Isolation | None = None,
        readonly: bool = False,
        deferrable: bool = False,
        timeout: float | None = None,
    ) -> AsyncGenerator[Connection]:
        """A connection in a transaction: committed when the block ends, rolled back on any exception.

        `timeout` is the wait for a free connection, as in acquire(). A transaction() inside it is a savepoint.
        """
        async with (
            self.acquire(timeout=timeout) as connection,
            connection.transaction(isolation=isolation, readonly=readonly, deferrable=deferrable),
        ):
            yield connection

    async def run_query(self, query: Query, arguments: tuple[object, ...]) -> list[Any]:
        """What a bound function calls; see Executor."""
        lease = self._open_lease()
        server = lease.take_idle() or await lease.take(self.acquire_timeout)
        try:
            return await server.run_query(query, arguments)
        finally:
            lease.give_to_next(server)

    async def execute(self, sql: str, *arguments: object) -> str:
        """Run raw SQL on any connection, committed by itself; the last command tag, `UPDATE 3`."""
        async with self.acquire() as connection:
            return await connection.execute(sql, *arguments)

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """All rows of raw SQL, on any connection."""
        async with self.acquire() as connection:
            return await connection.fetch(sql, *arguments)

    async def fetchrow(self, sql: str, *arguments: object) -> asyncpg.Record | None:
        """The first row of raw SQL or None, on any connection."""
        async with self.acquire() as connection:
            return await connection.fetchrow(sql, *arguments)

    async def fetchval(self, sql: str, *arguments: object) -> Any:
        """The first column of the first row of raw SQL or None, on any connection."""
        async with self.acquire() as connection:
            return await connection.fetchval(sql, *arguments)

    def _open_lease(self) -> Lease:
        if self._lease is None:
            raise NotConnected(
                "the Database is not open: `await db.connect()`, or use it as `async with Database(...) as db`"
            )
        return self._lease

    async def _pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        """asyncpg's pool, told to keep nothing by itself: the lease decides when connections open and close."""
        return await asyncpg.create_pool(
            self.dsn,
            min_size=0,
            max_size=self.max_size,
            max_inactive_connection_lifetime=0,
            max_queries=2**62,
            connection_class=ServerConnection,
            init=set_codecs,
            timeout=self.connect_timeout,
            server_settings=self._server_settings,
        )
