"""Database: the pool of connections, and itself an executor of single statements."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import asyncpg

from app.db.address import understood_dsn
from app.db.codecs import Codecs
from app.db.connection import Connection, Loan, TransactionLoan
from app.db.deadline import Deadline, seconds_until
from app.db.errors import DatabaseUnavailable, NotConnected
from app.db.keeper import Keeper
from app.db.lease import Lease
from app.db.local_settings import Settings, WithSettings, local_settings
from app.db.locks import hold_lock, try_lock
from app.db.notifications import Gap, Notification, listen
from app.db.opener import Opener, Password
from app.db.options import PoolOptions
from app.db.patience import patience
from app.db.prepared import rows_touched
from app.db.queries import Executor, Query
from app.db.report import place_of_caller
from app.db.retry import FORGET_TOKENS, Run, RunOptions
from app.db.server import server_name
from app.db.startup import open_first
from app.db.statistics import PoolStatistics, snapshot
from app.db.streams import LentStream
from app.db.transaction import Isolation, options_of

T = TypeVar("T")
_OTHER_PROCESS: list[object] = []


class Database:
    """A pool of connections to one PostgreSQL database.

        async with Database("postgresql://app@localhost/conduit") as db:
            article = await articles.get_article(db, slug="a-1", viewer_id=None)
            async with db.transaction() as tx: ...

    `dsn` is a URL that asyncpg understands. docs/pool.md has a table of all settings; all times are in seconds.
    `password`, if not in the URL, is a string, a file whose first line it is, or a function (a coroutine function, too)
    that returns it: file and function are read for each new connection. `server_settings` are PostgreSQL's own, for
    every session. `pgbouncer` says that the URL leads to a PgBouncer in transaction mode. `codecs` is a coroutine
    function that sets codecs of extension types on each new connection, by asyncpg's set_type_codec().

    Passed to a bound function it runs one statement, committed by itself, on any idle connection.
    """

    def __init__(
        self,
        dsn: str,
        *,
        min_size: int = 5,
        max_size: int = 15,
        max_waiting: int = 1000,
        acquire_timeout: float = 5.0,
        connect_timeout: float = 5.0,
        close_timeout: float = 10.0,
        startup_wait: float = 0.0,
        idle_timeout: float = 60.0,
        max_lifetime: float = 1800.0,
        keepalive: float = 30.0,
        pre_ping: bool = True,
        ping_after: float = 0.5,
        statement_timeout: float = 30.0,
        application_name: str = "bindery",
        server_settings: Mapping[str, str] | None = None,
        password: Password | None = None,
        pgbouncer: bool = False,
        codecs: Codecs | None = None,
    ) -> None:
        self.dsn = understood_dsn(dsn)
        self.options = PoolOptions(
            min_size=min_size,
            max_size=max_size,
            max_waiting=max_waiting,
            acquire_timeout=acquire_timeout,
            connect_timeout=connect_timeout,
            close_timeout=close_timeout,
            startup_wait=startup_wait,
            idle_timeout=idle_timeout,
            max_lifetime=max_lifetime,
            keepalive=keepalive,
            pre_ping=pre_ping,
            ping_after=ping_after,
        )
        self._server_settings = {
            "application_name": application_name,
            "statement_timeout": str(round(statement_timeout * 1000)),
            **(server_settings or {}),
        }
        # A mistake shows here, not with the first connection.
        patience(self._server_settings["statement_timeout"])
        self._password = password
        self._pgbouncer = pgbouncer
        self._codecs = codecs
        self._lease: Lease | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._connecting = False

    def __repr__(self) -> str:
        return f"<Database {server_name(self.dsn)}>"

    async def connect(self) -> None:
        """Open the first connections, `min_size` and at least one, and keep the pool in shape from now on.

        Raises DatabaseUnavailable, which says which server and what to try; with `startup_wait` only when the server
        could not be reached for so long.
        """
        self._forget_other_process()
        if self._lease is not None or self._connecting:
            raise NotConnected("this Database is open already; close() it first")
        lease = Lease(self._opener(), self.options)
        self._connecting = True
        try:
            await open_first(lease)
            self._keeper = asyncio.create_task(Keeper(lease).run(), name=f"keeper of {self!r}")
        except BaseException:
            await lease.close(0)
            raise
        finally:
            self._connecting = False
        self._lease = lease

    async def close(self) -> None:
        """Wait for connections in use, at most `close_timeout` seconds, and close them all; twice is once.

        Listeners end at once. Raises WrongEventLoop in another event loop than that of connect(); a process that was
        forked has nothing to close.
        """
        self._forget_other_process()
        if self._lease is not None:
            self._lease.home.refuse_others()
        lease, self._lease = self._lease, None
        keeper, self._keeper = self._keeper, None
        if lease is None or keeper is None:
            return
        keeper.cancel()
        lease.end_listeners()
        try:
            await lease.close(self.options.close_timeout)
        finally:
            await asyncio.gather(keeper, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def acquire(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[Connection]:
        """One connection for the block, each statement committed by itself; its session is reset if raw SQL ran in it.

        Waits `timeout` seconds (default: acquire_timeout) for a free one, then raises PoolTimeout.
        """
        wait = self.options.acquire_timeout if timeout is None else timeout
        return Loan(self._open_lease(), wait, place_of_caller())

    def transaction(
        self,
        *,
        isolation: Isolation | None = None,
        readonly: bool = False,
        deferrable: bool = False,
        settings: Settings | None = None,
        timeout: float | None = None,
    ) -> AbstractAsyncContextManager[Connection]:
        """A connection in a transaction: committed when the block ends, rolled back on any exception.

        `settings` hold until its end, such as `{"app.tenant": "7"}` for row-level security; they travel with BEGIN and
        leave nothing to reset. `timeout` is the wait for a free connection, as in acquire(). A transaction() inside it
        is a savepoint. Raises BadArgument for settings that PostgreSQL refuses, TransactionAborted when the block ends
        normally after a statement in it failed, CommitUnknown when nobody answered COMMIT, DatabaseUnavailable when the
        connection was lost before.
        """
        wait = self.options.acquire_timeout if timeout is None else timeout
        options = options_of(isolation, readonly, deferrable)
        if settings:
            options = replace(options, settings=local_settings(settings))
        return TransactionLoan(self._open_lease(), wait, place_of_caller(), options)

    async def run(
        self,
        function: Callable[..., Awaitable[T]],
        *args: object,
        isolation: Isolation | None = None,
        attempts: int = 5,
        deadline: float = 30.0,
        token: UUID | None = None,
        settings: Settings | None = None,
        **kwargs: object,
    ) -> T:
        """The result of `await function(tx, *args, **kwargs)` in a transaction that was committed.

        The whole function runs again, up to `attempts` times within `deadline` seconds, after a serialization failure,
        a deadlock or a statement that a migration made stale: what it does besides SQL must bear that. With a `token`,
        unique to this one piece of work, a connection that breaks at COMMIT is no question either: the token's row,
        written in the same transaction, proves what happened. docs/transactions.md has the table that this needs.
        `settings` are those of transaction(), for each attempt.

        Raises the last error when attempts or time are used up, StatementTimeout when the function itself took too
        long, TokenUsed when an earlier call committed with this token, and CommitUnknown when a connection broke at
        COMMIT and there is no token, or no answer before the deadline.
        """
        options = RunOptions(isolation, attempts, deadline, token, local_settings(settings))
        return await Run(self._open_lease(), options, lambda tx: function(tx, *args, **kwargs)).result()

    async def forget_tokens(self) -> int:
        """Delete the tokens of run() that are older than a day, and say how many: call it now and then."""
        return rows_touched(await self.execute(FORGET_TOKENS))

    def within(self, seconds: float) -> Executor:
        """This database with a deadline so many seconds from now, for bound functions: StatementTimeout after it."""
        return Deadline(self, seconds)

    def with_settings(self, settings: Settings) -> Executor:
        """This database for bound functions, each in a transaction of its own with these settings; see transaction().

        Raises ValueError for what is no name or value of a setting.
        """
        return WithSettings(self, settings)

    def lock(self, name: str, *, timeout: float | None = None) -> AbstractAsyncContextManager[None]:
        """Hold the advisory lock of this name for the block: of all who ask for it, one at a time, on any machine.

        Waits `timeout` seconds (default: acquire_timeout) for a connection and as long for the lock, then raises
        PoolTimeout or StatementTimeout. Raises LockLost, and cancels the block, when the connection breaks.
        """
        wait = self.options.acquire_timeout if timeout is None else timeout
        return hold_lock(self.acquire(timeout=wait), name, wait)

    def try_lock(self, name: str) -> AbstractAsyncContextManager[bool]:
        """As lock(), without waiting for it: whether the block has the lock."""
        return try_lock(self.acquire(), name)

    def listen(self, *channels: str) -> AbstractAsyncContextManager[AsyncIterator[Notification | Gap]]:
        """The notifications of these channels from now on, on a connection of their own that is not the pool's.

        It reconnects by itself; a Gap says that notifications may have been missed meanwhile. close() ends it: after
        what was received by then the iterator stops. Raises ValueError for a name that PostgreSQL would cut off, which
        it does after 63 bytes.
        """
        lease = self._open_lease()
        lease.home.refuse_others()
        return listen(lease.opener.open_alone, channels, keepalive=self.options.keepalive, listeners=lease.listeners)

    async def run_query(self, query: Query, arguments: tuple[object, ...], ends: float | None = None) -> list[Any]:
        """What a bound function calls; see Executor."""
        lease = self._lease or self._open_lease()
        server = lease.take_fresh() or await lease.take(self._patience(ends))
        try:
            return await server.run_query(query, arguments, ends)
        except DatabaseUnavailable:
            if not query.reads_only or not server.was_idle:
                raise
        finally:
            lease.give(server)
        # The connection had died while it was idle, and running a read twice changes nothing.
        return await self._run_again(lease, query, arguments, ends)

    def stream_query(self, query: Query, arguments: tuple[object, ...]) -> LentStream:
        """What a bound stream calls; see Executor."""
        return LentStream(self._open_lease(), self.options.acquire_timeout, query, arguments)

    async def copy_rows(self, query: Query, rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        """What a bound copy calls; see Executor."""
        async with self.acquire() as connection:
            return await connection.copy_rows(query, rows)

    def retire_connections(self) -> None:
        """Replace every connection that is open now, each as soon as nobody uses it: after a password was changed."""
        self._open_lease().retire()

    def statistics(self) -> PoolStatistics:
        """The pool's sizes at this moment, and what it has counted since it was opened."""
        return snapshot(self._open_lease())

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
            raise NotConnected("the Database is not open: `await db.connect()`, or `async with Database(...) as db`")
        return self._lease

    def _forget_other_process(self) -> None:
        """After a fork: the connections are the other process's, which goes on using them."""
        if self._lease is not None and self._lease.home.is_of_another_process():
            # Never collected: what closes them would also take them out of the poll of the other process.
            _OTHER_PROCESS.append((self._lease, self._keeper))
            self._lease = self._keeper = None

    def _opener(self) -> Opener:
        return Opener(
            self.dsn,
            self.options,
            password=self._password,
            server_settings=self._server_settings,
            pgbouncer=self._pgbouncer,
            codecs=self._codecs,
        )

    def _patience(self, ends: float | None) -> float:
        """How long to wait for a connection."""
        return min(self.options.acquire_timeout, seconds_until(ends) or 0.0) if ends else self.options.acquire_timeout

    async def _run_again(
        self, lease: Lease, query: Query, arguments: tuple[object, ...], ends: float | None
    ) -> list[Any]:
        lease.counters.retries += 1
        server = await lease.take(self._patience(ends))
        try:
            return await server.run_query(query, arguments, ends)
        finally:
            lease.give(server)
