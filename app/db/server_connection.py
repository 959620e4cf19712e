"""The connection that asyncpg opens: it keeps its prepared statements, and knows what it takes to lend it again."""

import json
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement
from asyncpg.transaction import Transaction

from app.db.deadline import seconds_until
from app.db.drift import refuse_changed_types
from app.db.effects import outlives_reset
from app.db.errors import BinderyError, DatabaseUnavailable, StatementTimeout
from app.db.queries import Query
from app.db.transaction import Isolation

if TYPE_CHECKING:
    import asyncio

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
# asyncpg's own reset forgets these. A statement prepared with SQL's PREPARE has a name that only its author knows, so
# its session is given up: the error makes whoever resets close the connection.
_RESET = """
set session authorization default;
reset role;
discard temp;
discard sequences;
do $$ begin
    if exists (select from pg_catalog.pg_prepared_statements where from_sql) then
        raise 'the session has prepared statements of its own';
    end if;
end $$;
"""


class Prepared:
    """A statement prepared on one connection, its parameters and columns verified against the signature.

    `fetch` yields the records, for a stream a cursor; `build` makes a list of rows of them.
    """

    __slots__ = ("build", "fetch", "has_columns", "statement")

    def __init__(self, statement: "PreparedStatement[asyncpg.Record]", query: Query) -> None:
        columns = statement.get_attributes()
        run: Any = statement.cursor if query.cardinality == "stream" else statement.fetch
        self.statement = statement
        self.fetch = query.strict(run, statement.get_parameters())
        self.has_columns = bool(columns)
        self.build = query.list_builder(columns)

    def rows(self, records: list[asyncpg.Record]) -> list[Any]:
        """The records as rows; without columns the number of rows that the statement touched just now."""
        if self.has_columns:
            return self.build(records)
        return [rows_touched(self.statement.get_statusmsg())]


class ServerConnection(DriverConnection):
    """One session on the server; `holder`, `acquired_at`, `running` and `lent_at` say who has it, and for what."""

    _top_xact: Transaction | None
    statement_cache_size = 100
    """What asyncpg keeps of raw SQL; named statements are kept beside it, all of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prepared: dict[Query, Prepared] = {}
        self.dirty = False
        self.beyond_reset = False
        self.lost = False
        self.holder: asyncio.Task[Any] | None = None
        self.acquired_at: tuple[str, int] | None = None
        self.running: str | None = None
        self.lent_at = 0.0
        self.idle_since = 0.0
        self.proven_at = 0.0
        self.was_idle = False
        self.expires = float("inf")
        self.expiry = "lifetime"
        self.settings_of_transactions = ""
        self.column_types: dict[Query, dict[str, str]] = {}
        self.failure: BaseException | None = None
        self.in_doubt = False
        self.savepoints = 0

    @property
    def itself(self) -> "ServerConnection":
        """This object, also when asked through asyncpg.Pool's proxy, which hides it."""
        return self

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open; a closed connection has none."""
        return not self.is_closed() and super().is_in_transaction()

    async def run_query(self, query: Query, arguments: tuple[object, ...], ends: float | None = None) -> list[Any]:
        """Run a named statement, until the moment `ends`; errors come as those of app.db where it has one."""
        self.running = query.function
        if query.touches_session:
            self.dirty = True
        try:
            prepared = self.prepared.get(query) or await self.prepare_query(query, ends)
            return prepared.rows(await prepared.fetch(*arguments, timeout=seconds_until(ends)))
        except asyncpg.InvalidCachedStatementError:
            # A migration changed the columns. Preparing again helps, but not inside the transaction that this ended.
            self.prepared.clear()
            if self.is_in_transaction():
                raise
            return await self._run_anew(query, arguments, ends)
        except asyncpg.OutdatedSchemaCacheError:
            # A composite type changed and the driver closed the statement, which ran and may have written: not again.
            self.prepared.pop(query, None)
            raise
        except Exception as error:
            self.raise_translated(error, query, arguments)
            raise
        except BaseException:
            # Cancelled: the server is told to stop, and only a reset waits until it has.
            self.dirty = True
            raise

    async def prepare_query(self, query: Query, ends: float | None = None) -> Prepared:
        """Prepare a named statement; BindingError where the server does not understand it or its columns do not fit."""
        try:
            statement = await self.prepare(query.text, timeout=seconds_until(ends))
        except asyncpg.PostgresError as error:
            # A literal that is no value of its type, such as 'x'::int, is a DataError, and it has a position, too.
            if not isinstance(error, asyncpg.SyntaxOrAccessError) and error.position is None:
                raise
            raise query.refused(error) from error
        refuse_changed_types(self.column_types, query, statement.get_attributes())
        prepared = self.prepared[query] = Prepared(statement, query)
        return prepared

    async def _run_anew(self, query: Query, arguments: tuple[object, ...], ends: float | None) -> list[Any]:
        try:
            prepared = await self.prepare_query(query, ends)
            return prepared.rows(await prepared.fetch(*arguments, timeout=seconds_until(ends)))
        except Exception as error:
            self.raise_translated(error, query, arguments)
            raise

    def raise_translated(self, error: Exception, query: Query, arguments: tuple[object, ...]) -> None:
        """Raise the layer's own error for the driver's; return where it has none."""
        own = self.lost_by(error, query.function) or self.timed_out(error, query.function)
        translated = own or query.translate(error, arguments)
        if translated is not error:
            raise translated from error

    def timed_out(self, error: Exception, step: str) -> StatementTimeout | None:
        """The error for a step that was stopped, by the caller's deadline or by the server; None if it was not."""
        if isinstance(error, TimeoutError):
            return StatementTimeout(f"{step} was not done by its deadline; the server was told to stop it")
        if isinstance(error, asyncpg.QueryCanceledError):
            return StatementTimeout(f"the server stopped {step}: {error}")
        return None

    def failed(self, error: BaseException) -> None:
        """A statement failed here: remember the first that ends a transaction, or whose end nobody has seen."""
        if not isinstance(error, Exception) or isinstance(error, (TimeoutError, StatementTimeout)):
            self.in_doubt = True
        elif not _is_of_server(error):
            return
        if self.failure is None:
            self.failure = error

    def enter_transaction(self, isolation: Isolation | None) -> None:
        """A transaction begins here; asyncpg's own transaction() inside it is a savepoint."""
        self.failure, self.in_doubt, self.savepoints = None, False, 0
        self._top_xact = self.transaction(isolation=isolation)

    def leave_transaction(self) -> None:
        """The transaction is over, however it ended."""
        self.failure = self._top_xact = None

    def lost_by(self, error: Exception, step: str) -> DatabaseUnavailable | None:
        """The error for a connection that broke in this step, which is then not lent again; None if it still works."""
        if isinstance(error, TimeoutError) and not self.is_closed():
            # The caller's own time-out: the server is told to stop, and only a reset waits until it has.
            self.dirty = True
            return None
        if isinstance(error, CONNECTION_LOST) or self.is_closed():
            self.dirty = self.lost = True
            return DatabaseUnavailable(f"the connection was lost during {step}: {error}")
        return None

    def before_raw(self, sql: str) -> None:
        """Raw SQL is about to run here: it may leave anything in the session."""
        self.running = sql
        self.dirty = True
        if outlives_reset(sql):
            self.beyond_reset = True

    def give_up(self) -> None:
        """Have this connection closed when it is given back: it is in a state that no reset is sure to undo."""
        self.dirty = self.beyond_reset = True

    async def ping(self) -> None:
        """Make the server answer; an error means that the connection is dead."""
        await self.execute("select")

    def get_reset_query(self) -> str:
        """What makes the session as it was when it was opened; asyncpg's hook."""
        return super().get_reset_query() + _RESET

    async def set_type_codec(self, *args: Any, **options: Any) -> None:
        """asyncpg's; no reset undoes it."""
        self.give_up()
        await super().set_type_codec(*args, **options)

    async def reset_type_codec(self, *args: Any, **options: Any) -> None:
        """asyncpg's; no reset undoes it."""
        self.give_up()
        await super().reset_type_codec(*args, **options)

    async def set_builtin_type_codec(self, *args: Any, **options: Any) -> None:
        """asyncpg's; no reset undoes it."""
        self.give_up()
        await super().set_builtin_type_codec(*args, **options)

    def add_query_logger(self, *args: Any, **options: Any) -> None:
        """asyncpg's; no reset undoes it."""
        self.give_up()
        super().add_query_logger(*args, **options)

    async def restore(self) -> None:
        """Undo whatever raw SQL did to the session; an error means that it cannot be undone."""
        if self.beyond_reset:
            raise asyncpg.InterfaceError("what was done to this session cannot be undone")
        if self.is_in_transaction():
            # Someone's raw BEGIN, or a stream that was left in the middle.
            await self.execute("rollback")
        await self.reset()
        self.dirty = False


async def set_codecs(connection: DriverConnection) -> None:
    """json and jsonb come and go as Python values; asyncpg itself leaves them text."""
    for type_name in ("json", "jsonb"):
        await connection.set_type_codec(type_name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


def rows_touched(status: str | None) -> int:
    """The count at the end of a command tag: 3 for `UPDATE 3`, 0 for `CREATE TABLE`."""
    count = (status or "").rpartition(" ")[2]
    return int(count) if count.isdecimal() else 0


def _is_of_server(error: Exception) -> bool:
    """Whether the server said it, which ends a transaction; the driver refuses some values before they get there."""
    cause = error.__cause__ if isinstance(error, BinderyError) else error
    return isinstance(cause, asyncpg.PostgresError) and cause.severity is not None
