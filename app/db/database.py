"""Database: the pool of connections, and itself an executor of single statements."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from app.db.binding.query import Executor, Query
from app.db.connection import Connection, Lease, TransactionLease, transaction_options
from app.db.counting.figures import Figures
from app.db.counting.frames import place_of_caller
from app.db.deadline import Deadline
from app.db.errors import DatabaseUnavailable, NotConnected
from app.db.listen import Gap, Listener, Notification, listen
from app.db.locks import Locks
from app.db.pool.address import understood_dsn
from app.db.pool.connect_errors import server_name
from app.db.pool.connector import Connector, merged_settings
from app.db.pool.leases import LeaseReport, reports
from app.db.pool.lifecycle import OpenPool, open_pool
from app.db.pool.options import PoolOptions
from app.db.pool.password import Password
from app.db.pool.pool import Pool
from app.db.pool.statistics import PoolStatistics
from app.db.run import FORGET_TOKENS, Run, RunOptions
from app.db.session.codecs import Codecs
from app.db.session.driver import seconds_until
from app.db.session.local_settings import Settings, local_settings
from app.db.session.prepared import rows_touched
from app.db.session.transaction import Isolation, TransactionOptions
from app.db.streams import LeasedStream
from app.db.with_settings import WithSettings

T = TypeVar("T")
_OF_OTHER_PROCESSES: list[object] = []


class Database(Locks):
    """A pool of connections to one PostgreSQL database.

        async with Database("postgresql://app@localhost/shop") as db:
            book = await books.get_book(db, id=7)
            async with db.transaction() as tx: ...

    `dsn` is a URL that asyncpg understands. docs/pool.md explains every setting; all times are in seconds. `password`,
    if it is not in the URL, is a string, a file with it in the first line, or a function that returns it, possibly a
    coroutine function; file and function are read for each new connection. `server_settings` are parameters of every
    session. `pgbouncer` says that the URL leads to a PgBouncer in transaction mode. `codecs` is a coroutine
    function that sets codecs of extension types on each new connection, with asyncpg's set_type_codec().

    As an executor it runs each statement of a bound function on any idle connection, committed by itself. `figures` has
    counted every statement since this object was made.
    """

    def __init__(
        self,
        dsn: str,
        *,
        min_size: int = 5,
        max_size: int = 15,
        max_waiting: int = 1000,
        connect_rate: int = 20,
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
            connect_rate=connect_rate,
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
        self.figures = Figures()
        self._server_settings = merged_settings(application_name, statement_timeout, server_settings)
        self._password = password
        self._pgbouncer = pgbouncer
        self._codecs = codecs
        self._open: OpenPool | None = None
        self._pool: Pool | None = None
        self._connecting, self._listeners = False, set[Listener]()

    def __repr__(self) -> str:
        return f"<Database {server_name(self.dsn)}>"

    async def connect(self) -> None:
        """Open the pool with `min_size` connections, at least one.

        Raises DatabaseUnavailable, at once or when the server could not be reached for `startup_wait` seconds.
        """
        self._forget_other_process()
        if self._open is not None or self._connecting:
            raise NotConnected("this Database is open already; close() it first")
        connector = Connector(
            self.dsn,
            self.options,
            password=self._password,
            server_settings=self._server_settings,
            pgbouncer=self._pgbouncer,
            codecs=self._codecs,
            figures=self.figures,
        )
        self._connecting = True
        try:
            self._open = await open_pool(connector, self.options)
        finally:
            self._connecting = False
        self._pool = self._open.pool

    async def close(self) -> None:
        """Wait for connections in use, at most `close_timeout` seconds, and close all. Listeners end at once.

        Closing twice is allowed, and closing in a forked process does nothing. Raises WrongEventLoop in another loop.
        """
        self._forget_other_process()
        if opened := self._open:
            opened.pool.affinity.refuse_others()
            self._open = self._pool = None
            for each in list(self._listeners):
                each.end()
            await opened.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def acquire(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection for the block. Each statement is committed by itself; the session is reset after raw SQL.

        Waits up to `timeout` seconds (default: acquire_timeout) for a free one, then raises PoolTimeout.
        """
        return Lease(self._opened(), self._wait(timeout), place_of_caller())

    def transaction(
        self,
        *,
        isolation: Isolation | None = None,
        readonly: bool = False,
        deferrable: bool = False,
        settings: Settings | None = None,
        timeout: float | None = None,
    ) -> AbstractAsyncContextManager[Connection]:
        """Lend a connection in a transaction. It is rolled back on any exception, and otherwise committed.

        `settings`, such as `{"app.tenant": "7"}` for row-level security, last until its end. They are sent with BEGIN
        and need no reset. `timeout` is the wait for a free connection, in seconds, as in acquire(). A transaction()
        inside it is a savepoint. Raises BadArgument when PostgreSQL refuses the settings,
        TransactionAborted when the block ends normally after a statement in it failed, CommitUnknown when COMMIT got no
        answer, and DatabaseUnavailable when the connection was lost earlier.
        """
        options = transaction_options(isolation, settings, readonly, deferrable)
        return TransactionLease(self._opened(), self._wait(timeout), place_of_caller(), options)

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
        """Return the result of `await function(tx, *args, **kwargs)`, run in a transaction that was committed.

        The whole function runs again, up to `attempts` times within `deadline` seconds, after a serialization failure,
        a deadlock, or a statement that a migration made outdated. Anything it does besides SQL must tolerate that. With
        a `token`, unique to this piece of work, a connection lost at COMMIT does not leave the outcome unknown: the
        token's row, written in the same transaction, proves it. docs/transactions.md has the table that this needs.
        `settings` are those of transaction(), for each attempt.

        Raises the last error when attempts or time are used up, StatementTimeout when the function itself took too
        long, TokenUsed when an earlier call committed with this token, and CommitUnknown when the connection was lost
        at COMMIT and there is no token, or no answer before the deadline.
        """
        pool, place = self._opened(), place_of_caller()

        def begin(options: TransactionOptions, seconds: float) -> TransactionLease:
            return TransactionLease(pool, min(seconds, self.options.acquire_timeout), place, options)

        options = RunOptions(isolation, attempts, deadline, token, local_settings(settings))
        return await Run(begin, pool.limits, options, lambda tx: function(tx, *args, **kwargs)).result()

    async def forget_tokens(self) -> int:
        """Delete the tokens of run() that are older than a day. Return how many. Call it at intervals."""
        return rows_touched(await self.execute(FORGET_TOKENS))

    def within(self, seconds: float) -> Executor:
        """Return this database with a deadline in `seconds`. Bound functions raise StatementTimeout after it."""
        return Deadline(self, seconds)

    def with_settings(self, settings: Settings) -> Executor:
        """Return this database for bound functions, each in a transaction of its own with these settings.

        Raises ValueError for an invalid name or value.
        """
        local_settings(settings)
        return WithSettings(lambda: self.transaction(settings=settings))

    def listen(self, *channels: str) -> AbstractAsyncContextManager[AsyncIterator[Notification | Gap]]:
        """Yield an iterator over the notifications of these channels, on a connection that is not the pool's.

        It reconnects by itself; a Gap says that notifications may have been lost meanwhile. After close() the iterator
        ends with the notifications received so far. Raises ValueError for a name of more than 63 bytes, which
        PostgreSQL would shorten.
        """
        pool = self._opened()
        pool.affinity.refuse_others()
        return listen(pool.connector.open_alone, channels, keepalive=self.options.keepalive, listeners=self._listeners)

    async def run_query(self, query: Query, arguments: tuple[object, ...], ends: float | None = None) -> list[Any]:
        """Run a bound function; see Executor."""
        pool = self._pool or self._opened()
        pooled = pool.take_fresh() or await pool.take(self._wait_until(ends))
        try:
            return await pooled.session.run_query(query, arguments, ends)
        except DatabaseUnavailable:
            if not query.reads_only or not pooled.was_idle:
                raise
        finally:
            pool.give(pooled)
        # The connection died while it was idle, and running a read twice changes nothing.
        pool.counters.retries += 1
        pooled = await pool.take(self._wait_until(ends))
        try:
            return await pooled.session.run_query(query, arguments, ends)
        finally:
            pool.give(pooled)

    def stream_query(self, query: Query, arguments: tuple[object, ...]) -> LeasedStream:
        """Run a bound stream; see Executor."""
        return LeasedStream(self._opened(), self.options.acquire_timeout, query, arguments)

    async def copy_rows(self, query: Query, rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        """Run a bound copy; see Executor."""
        async with self.acquire() as connection:
            return await connection.copy_rows(query, rows)

    def retire_connections(self) -> None:
        """Replace every open connection as soon as it is not in use, for example after a change of the password."""
        self._opened().retire()

    def statistics(self) -> PoolStatistics:
        """Return the sizes of the pool now, and its counters since it was opened."""
        return self._opened().statistics()

    @property
    def is_open(self) -> bool:
        """Whether connect() was called, and close() was not."""
        return self._pool is not None

    def leases(self) -> list[LeaseReport]:
        """Return who holds which connection now, the longest first."""
        return reports(self._opened().state)

    def _opened(self) -> Pool:
        if self._pool is None:
            raise NotConnected("the Database is not open: `await db.connect()`, or `async with Database(...) as db`")
        return self._pool

    def _wait(self, timeout: float | None) -> float:
        return self.options.acquire_timeout if timeout is None else timeout

    def _wait_until(self, ends: float | None) -> float:
        return min(self.options.acquire_timeout, seconds_until(ends) or 0.0) if ends else self.options.acquire_timeout

    def _forget_other_process(self) -> None:
        """After a fork, leave the connections to the other process, which continues to use them."""
        if self._open is not None and self._open.pool.affinity.is_of_another_process():
            # Never collected: closing them would also remove them from the event loop of the other process.
            _OF_OTHER_PROCESSES.append(self._open)
            self._open = self._pool = None
