"""The connection that asyncpg opens: it keeps its prepared statements, and knows what it takes to lend it again."""

from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.transaction import Transaction

from app.db.caching import CachingConnection
from app.db.effects import drops_statements, outlives_reset
from app.db.errors import BinderyError, ConnectionBusy, DatabaseUnavailable, StatementTimeout
from app.db.home import Home
from app.db.hosts import READ_ONLY, WRITABLE
from app.db.outdated import explain_lost_statement, unknown_type
from app.db.patience import mentions_limit, raised_patience
from app.db.queries import Query
from app.db.search_path import may_change_path
from app.db.transaction import DRIVER_ERRORS, Isolation, TransactionBlock

if TYPE_CHECKING:
    import asyncio

NEVER = float("inf")
# What the driver says to the second of two tasks, in whatever it was asked for.
_OTHER = "another operation"
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


class ServerConnection(CachingConnection):
    """One session on the server; `holder`, `acquired_at`, `running` and `lent_at` say who has it, and for what.

    `sent_at` is the moment when something was sent whose answer has not come. `patience` is how many seconds later the
    keeper closes the connection, since a server that is alive would have given up by itself: a timer of the driver's
    for each statement would do the same and cost a tenth of it; `usual_patience` is that of a new session. `silence` is
    how long that wait then was, in seconds.
    """

    _top_xact: Transaction | None
    statement_cache_size = 100
    """What asyncpg keeps of raw SQL; named statements are kept beside it, all of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dirty = False
        self.beyond_reset = False
        self.lost = False
        self.holder: asyncio.Task[Any] | None = None
        self.acquired_at: tuple[str, int] | None = None
        self.running: str | None = None
        self.sent_at = NEVER
        self.patience: float | None = None
        self.usual_patience: float | None = None
        self.silence = 0.0
        self.abandoned = False
        self.home: Home | None = None
        self.lent_at = 0.0
        self.idle_since = 0.0
        self.proven_at = 0.0
        self.was_idle = False
        self.expires = float("inf")
        self.expiry = "lifetime"
        self.target = "any"
        self.read_only_block = False
        self.settings_of_transactions = ""
        self.failure: BaseException | None = None
        self.in_doubt = False
        self.savepoints = 0
        self._marks: dict[Isolation | None, Transaction] = {}

    @property
    def itself(self) -> "ServerConnection":
        """This object, also when asked through asyncpg.Pool's proxy, which hides it."""
        return self

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open; a closed connection has none."""
        return not self.is_closed() and super().is_in_transaction()

    async def run_query(self, query: Query, arguments: tuple[object, ...], ends: float | None = None) -> list[Any]:
        """Run a named statement, until the moment `ends`; errors come as those of app.db where it has one."""
        if self.sent_at != NEVER:
            raise self.busy(query.function)
        self.running = query.function
        self.sent_at = monotonic()
        if query.touches_session:
            self.touch_session(query.text)
        try:
            prepared = self.prepared.get(query) or await self.prepare_query(query, ends)
            records, tag, _ = await prepared.execute(arguments, ends - monotonic() if ends else None)
            return prepared.rows(records, tag)
        except Exception as error:
            return await self._mended(error, query, arguments, ends)
        except BaseException as error:
            # Cancelled: the server is told to stop, and only a reset waits until it has.
            self.dirty = True
            self.failed(error)
            raise
        finally:
            self.sent_at = NEVER

    def one_session(self) -> AbstractAsyncContextManager[None]:
        """A transaction around the block, unless it is in one: all steps run in one session and see one schema.

        What a statement mentions is locked when it is prepared, so that nobody changes its types before the end.
        """
        return nullcontext() if self.is_in_transaction() else TransactionBlock(self)

    @contextmanager
    def awaiting_answer(self) -> Generator[None]:
        """For this block the server may be silent for as long as a statement may take, and not for longer."""
        before, self.sent_at = self.sent_at, monotonic()
        try:
            yield
        finally:
            self.sent_at = before

    async def send(self, sql: str, step: str) -> str:
        """Run the layer's own SQL, without arguments; the command tag, or an error as of own_error()."""
        before, self.sent_at = self.sent_at, monotonic()
        try:
            return await super().execute(sql)
        except DRIVER_ERRORS as error:
            if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
                self.refused_to_write()
            if own := self.own_error(error, step):
                raise own from error
            raise
        except BaseException:
            self.give_up()
            raise
        finally:
            self.sent_at = before

    async def _mended(
        self, error: Exception, query: Query, arguments: tuple[object, ...], ends: float | None
    ) -> list[Any]:
        """The rows after all where a migration had changed the types; else raises the error, as that of app.db."""
        again = True
        while again:
            try:
                if await self.is_better_prepared(error, query, ends):
                    prepared = self.prepared.get(query) or await self.prepare_query(query, ends)
                    records, tag, _ = await prepared.execute(arguments, ends - monotonic() if ends else None)
                    return prepared.rows(records, tag)
                again = False
            except Exception as other:
                # A record may hold several types that are not known yet, and the driver names one at a time.
                again = unknown_type(other) not in {None, unknown_type(error)}
                error = other
        self.raise_translated(error, query, arguments)
        raise error

    def raise_translated(self, error: BaseException, query: Query, arguments: tuple[object, ...]) -> None:
        """Remember what failed, and raise the layer's own error for the driver's; return where it has none."""
        own = self.translated(error, query, arguments) if isinstance(error, Exception) else error
        if own is not error:
            own.__cause__ = error
        self.failed(own)
        if own is not error:
            raise own

    def translated(self, error: Exception, query: Query, arguments: tuple[object, ...]) -> Exception:
        """The layer's own error for the driver's, or the same error where it has none."""
        if lost := self.lost_by(error, query.function):
            lost.may_be_done = lost.may_be_done and not query.reads_only
            return lost
        return (
            self.timed_out(error, query.function)
            or self.busy_by(error, query.function)
            or query.translate(error, arguments)
        )

    def timed_out(self, error: Exception, step: str) -> StatementTimeout | None:
        """The error for a step that was stopped, by the caller's deadline or by the server; None if it was not."""
        if isinstance(error, TimeoutError):
            return StatementTimeout(f"{step} was not done by its deadline; the server was told to stop it")
        if isinstance(error, asyncpg.QueryCanceledError):
            return StatementTimeout(f"the server stopped {step}: {error}")
        return None

    def own_error(self, error: Exception, step: str) -> BinderyError | None:
        """The layer's own error for one of the driver in this step; None where it has none."""
        return self.lost_by(error, step) or self.timed_out(error, step) or self.busy_by(error, step)

    def busy_by(self, error: Exception, step: str) -> ConnectionBusy | None:
        """The error for a step that the driver refused since another one is under way; None if that is not why."""
        if isinstance(error, (asyncpg.InterfaceError, asyncpg.InternalClientError)) and _OTHER in str(error):
            return self.busy(step)
        return None

    def busy(self, step: str) -> ConnectionBusy:
        """The error for a second statement at the same time."""
        return ConnectionBusy(
            f"{step} was not sent: another task is using this connection, and last ran {self.running};"
            " give each task a connection of its own: pass the Database to it, or call acquire() in it"
        )

    def refuse_misuse(self, step: str) -> None:
        """ConnectionBusy while another task waits for an answer here, WrongEventLoop where none would come."""
        if self.home is not None:
            self.home.refuse_others()
        if self.sent_at != NEVER:
            raise self.busy(step)

    def failed(self, error: BaseException) -> None:
        """A statement failed here: remember the first that ends a transaction, or whose end nobody has seen."""
        if not isinstance(error, Exception) or isinstance(error, (TimeoutError, StatementTimeout)):
            self.in_doubt = True
        elif not _is_of_server(error):
            return
        explain_lost_statement(error)
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            self.refused_to_write()
        if self.failure is None:
            self.failure = error

    def is_unfit(self) -> bool:
        """Whether the server no longer has the role that `target` asks for: it was looked at when connecting only."""
        return self.target in WRITABLE and self.is_read_only()

    def is_read_only(self) -> bool:
        """Whether every transaction of this session is read only: the server is a standby, or set to be so.

        What the server last reported, with the answer to a statement; behind a PgBouncer it is not known.
        """
        if self.is_closed():
            return False
        settings = self.get_settings()
        return "on" in {getattr(settings, name, "off") for name in ("in_hot_standby", "default_transaction_read_only")}

    def refused_to_write(self) -> None:
        """The server refused a write (25006): replace a session that is read only but was meant to write.

        After a switchover it would refuse for ever, and a new one may reach a server that does not. What its own user
        made read only stays.
        """
        if not self.read_only_block and self.target not in READ_ONLY and self.is_read_only():
            self.expires, self.expiry = 0.0, "read only"

    def enter_transaction(self, isolation: Isolation | None) -> None:
        """A transaction begins here; asyncpg's own transaction() inside it is a savepoint."""
        self.failure, self.in_doubt, self.savepoints = None, False, 0
        self._top_xact = self._marks.get(isolation) or self._marks.setdefault(
            isolation, self.transaction(isolation=isolation)
        )

    def leave_transaction(self) -> None:
        """The transaction is over, however it ended."""
        self.failure = self._top_xact = None
        self.read_only_block = False
        if not self.has_usual_path:
            # What was set for the transaction is over, what was set for the session is not.
            self.path_may_have_changed() if self.dirty else self.path_is_usual()

    def lost_by(self, error: Exception, step: str) -> DatabaseUnavailable | None:
        """The error for a connection that broke in this step, which is then not lent again; None if it still works."""
        if isinstance(error, TimeoutError) and not self.is_closed():
            # The caller's own time-out: the server is told to stop, and only a reset waits until it has.
            self.dirty = True
            return None
        if isinstance(error, CONNECTION_LOST) or _ends_session(error) or self.is_closed():
            self.dirty = self.lost = True
            why = f"the server had not answered for {self.silence:.1f} s" if self.silence else error
            if self.abandoned:
                why = "its block ended while this task was still using it"
            lost = DatabaseUnavailable(f"the connection was lost during {step}: {why}")
            # asyncpg raises an InterfaceError before it sends anything.
            lost.may_be_done = self._top_xact is None and not isinstance(error, asyncpg.InterfaceError)
            return lost
        return None

    def before_raw(self, sql: str) -> None:
        """Raw SQL is about to run here: it may leave anything in the session."""
        self.running = sql
        self.touch_session(sql)
        if outlives_reset(sql):
            self.beyond_reset = True
        if drops_statements(sql):
            self.forget_statements()

    def touch_session(self, sql: str) -> None:
        """This text may change settings of the session, its limit for statements among them."""
        self.dirty = True
        if may_change_path(sql):
            self.path_may_have_changed()
        if mentions_limit(sql):
            self.patience = raised_patience(sql, self.patience)

    def give_up(self) -> None:
        """Have this connection closed when it is given back: it is in a state that no reset is sure to undo."""
        self.dirty = self.beyond_reset = True

    async def ping(self) -> None:
        """Make the server answer; an error means that the connection is dead."""
        await self.execute("select")

    def get_reset_query(self) -> str:
        """What makes the session as it was when it was opened; asyncpg's hook."""
        return super().get_reset_query() + _RESET

    async def set_codecs_again(self) -> None:
        """Set the codecs of extension types for the types that there are now; they are how a session begins."""
        before = self.dirty, self.beyond_reset
        await super().set_codecs_again()
        self.dirty, self.beyond_reset = before

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
        """Undo whatever raw SQL did to the session, unless it is `beyond_reset`; an error means that this failed."""
        if self.is_in_transaction():
            # Someone's raw BEGIN, or a stream that was left in the middle.
            await self.execute("rollback")
        await self.reset()
        self.patience = self.usual_patience
        self.path_is_usual()
        self.dirty = False


def _ends_session(error: Exception) -> bool:
    """Whether the server said that it ends the session: idle for too long, its database dropped, and so on."""
    return isinstance(error, asyncpg.PostgresError) and error.severity_en in {"FATAL", "PANIC"}


def _is_of_server(error: Exception) -> bool:
    """Whether the server said it, which ends a transaction; the driver refuses some values before they get there."""
    cause = error.__cause__ if isinstance(error, BinderyError) else error
    return isinstance(cause, asyncpg.PostgresError) and cause.severity is not None
