"""Connections: the one that asyncpg opens, which keeps its prepared statements, and the one that a caller is lent."""

import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from app.db.errors import DatabaseUnavailable, NotConnected
from app.db.queries import Query
from app.db.rows import RowBuilder
from app.db.transaction import Isolation, transaction_block

if TYPE_CHECKING:
    DriverConnection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes are generic to the type checker only
    DriverConnection = asyncpg.Connection

CONNECTION_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    OSError,
)


class Prepared:
    """A statement prepared on one connection, its columns verified against the row type."""

    __slots__ = ("build", "has_columns", "statement")

    def __init__(self, statement: "PreparedStatement[asyncpg.Record]", query: Query) -> None:
        columns = [attribute.name for attribute in statement.get_attributes()]
        self.statement = statement
        self.has_columns = bool(columns)
        self.build: RowBuilder = query.builder(columns)

    async def run(self, arguments: tuple[object, ...]) -> list[Any]:
        """The built rows, or the number of rows touched by a statement without columns."""
        records = await self.statement.fetch(*arguments)
        if self.has_columns:
            return list(map(self.build, records))
        return [rows_touched(self.statement.get_statusmsg())]


class ServerConnection(DriverConnection):
    """asyncpg's connection and the statements prepared on it; lent out by the pool, never used by callers directly."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepared: dict[Query, Prepared] = {}
        self.dirty = False

    @property
    def itself(self) -> "ServerConnection":
        """This object, also when asked through asyncpg.Pool's proxy, which hides it."""
        return self

    async def run_query(self, query: Query, arguments: tuple[object, ...]) -> list[Any]:
        """Run a named statement; errors come as those of app.db where it has one."""
        try:
            prepared = self.prepared.get(query) or await self.prepare_query(query)
            return await prepared.run(arguments)
        except asyncpg.InvalidCachedStatementError:
            # A migration changed the columns. Preparing again helps, but not inside the transaction that this ended.
            self.prepared.clear()
            if self.is_in_transaction():
                raise
            return await self._run_anew(query, arguments)
        except asyncpg.OutdatedSchemaCacheError:
            # A composite type changed and the driver closed the statement, which ran and may have written: not again.
            self.prepared.pop(query, None)
            raise
        except Exception as error:
            self._raise_translated(error, query, arguments)
            raise

    async def prepare_query(self, query: Query) -> Prepared:
        """Prepare a named statement; BindingError where the server does not understand it or its columns do not fit."""
        try:
            statement = await self.prepare(query.text)
        except asyncpg.SyntaxOrAccessError as error:
            raise query.refused(error) from error
        prepared = self.prepared[query] = Prepared(statement, query)
        return prepared

    async def _run_anew(self, query: Query, arguments: tuple[object, ...]) -> list[Any]:
        try:
            return await (await self.prepare_query(query)).run(arguments)
        except Exception as error:
            self._raise_translated(error, query, arguments)
            raise

    def _raise_translated(self, error: Exception, query: Query, arguments: tuple[object, ...]) -> None:
        """Raise the layer's own error for the driver's; return where it has none."""
        if isinstance(error, CONNECTION_LOST) or self.is_closed():
            raise DatabaseUnavailable(f"the connection was lost during {query.statement.name}: {error}") from error
        translated = query.translate(error, arguments)
        if translated is not error:
            raise translated from error


async def set_codecs(connection: DriverConnection) -> None:
    """json and jsonb come and go as Python values; asyncpg itself leaves them text."""
    for type_name in ("json", "jsonb"):
        await connection.set_type_codec(type_name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


def rows_touched(status: str | None) -> int:
    """The count at the end of a command tag: 3 for `UPDATE 3`, 0 for `CREATE TABLE`."""
    count = (status or "").rpartition(" ")[2]
    return int(count) if count.isdecimal() else 0


class Connection:
    """A connection lent by `acquire()` or `transaction()`: runs bound functions and raw SQL until given back."""

    __slots__ = ("_server",)

    def __init__(self, server: ServerConnection) -> None:
        self._server: ServerConnection | None = server

    async def run_query(self, query: Query, arguments: tuple[object, ...]) -> list[Any]:
        """What a bound function calls; see Executor."""
        return await self._lent().run_query(query, arguments)

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation | None = None, readonly: bool = False, deferrable: bool = False
    ) -> AsyncGenerator["Connection"]:
        """A transaction, or a savepoint inside one: committed when the block ends, rolled back on any exception.

        Raises ValueError for options on a savepoint, which PostgreSQL cannot give it, and DatabaseUnavailable when the
        connection is lost on the way.
        """
        async with transaction_block(self._lent(), isolation, readonly, deferrable):
            yield self

    async def execute(self, sql: str, *arguments: object, timeout: float | None = None) -> str:
        """Run raw SQL, several statements where there are no arguments; the last one's command tag, `UPDATE 3`."""
        return await self.driver.execute(sql, *arguments, timeout=timeout)

    async def executemany(
        self, sql: str, arguments: Iterable[Sequence[object]], *, timeout: float | None = None
    ) -> None:
        """Run raw SQL once for each sequence of arguments, all or none."""
        await self.driver.executemany(sql, arguments, timeout=timeout)

    async def fetch(self, sql: str, *arguments: object, timeout: float | None = None) -> list[asyncpg.Record]:
        """All rows of raw SQL."""
        return await self.driver.fetch(sql, *arguments, timeout=timeout)

    async def fetchrow(self, sql: str, *arguments: object, timeout: float | None = None) -> asyncpg.Record | None:
        """The first row of raw SQL, or None."""
        return await self.driver.fetchrow(sql, *arguments, timeout=timeout)

    async def fetchval(self, sql: str, *arguments: object, timeout: float | None = None) -> Any:
        """The first column of the first row of raw SQL, or None."""
        return await self.driver.fetchval(sql, *arguments, timeout=timeout)

    @property
    def driver(self) -> ServerConnection:
        """asyncpg's own connection for what is not here (COPY, cursors, listeners); its session is reset afterwards."""
        server = self._lent()
        server.dirty = True
        return server

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._lent().is_in_transaction()

    def _lent(self) -> ServerConnection:
        if self._server is None:
            raise NotConnected("this connection was given back when its `async with` block ended; use it only inside")
        return self._server

    def give_back(self) -> None:
        """End the loan: from now on every use raises NotConnected."""
        self._server = None
