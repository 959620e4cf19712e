"""One session on the server: it sends statements, translates errors, and records what a reset has to undo."""

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from time import monotonic
from typing import Any

import asyncpg
from asyncpg.transaction import Transaction

from app.db.binding.query import Query
from app.db.counting.counting import Counting
from app.db.counting.figures import RAW_SQL
from app.db.counting.transaction_state import TransactionState
from app.db.counting.work import WORK
from app.db.errors import BinderyError, ConnectionBusy, DatabaseUnavailable, StatementTimeout
from app.db.session.affinity import Affinity
from app.db.session.driver import DRIVER_ERRORS, NEVER, is_busy, is_from_server, is_lost, was_sent
from app.db.session.outdated import explain_lost_statement, unknown_type
from app.db.session.resettable import ResettableConnection
from app.db.session.session_options import NO_OPTIONS, SessionOptions


class Session(ResettableConnection, Counting):
    """One session on the server.

    `lost` is true once it has ended, `refused_write` once it turned out to be read only. `running` is the statement
    that ran last, and `sent_at` the moment when it was sent while no answer has come, else NEVER.
    """

    _top_xact: Transaction | None
    statement_cache_size = 100
    """How many raw statements asyncpg keeps prepared. Named statements are kept beside them, all of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lost = False
        self.refused_write = False
        self.running: str | None = None
        self.sent_at = NEVER
        self.affinity: Affinity | None = None
        self.started_at = 0.0
        self.transaction_state = TransactionState()
        self.options = NO_OPTIONS
        self._why_lost: str | None = None
        self._marks: dict[str | None, Transaction] = {}

    def configure(self, options: SessionOptions, affinity: Affinity) -> None:
        """Make this a session of a pool. What was set so far is its initial state."""
        self.options, self.affinity = options, affinity
        self.this_is_initial(options.answer_timeout)
        self.column_types, self.planned = options.column_types, options.planned
        self.figures = options.figures
        self.plans_first = self.plans_first and not options.plans_generically

    @property
    def itself(self) -> "Session":
        """This object, also when asked through asyncpg.Pool's proxy, which hides it."""
        return self

    def is_in_transaction(self) -> bool:
        """Return whether a transaction is open. A closed connection has none."""
        return not self.is_closed() and super().is_in_transaction()

    async def run_query(self, query: Query, arguments: tuple[object, ...], ends: float | None = None) -> list[Any]:
        """Run a named statement, at most until the moment `ends`. Raises the errors of app.db where it has one."""
        if self.sent_at != NEVER:
            raise self._busy(query.function)
        self.running = query.function
        self.sent_at = self.started_at = monotonic()
        if query.touches_session:
            self.touch(query.text)
        try:
            prepared = self.prepared.get(query) or await self.prepare_query(query, ends)
            records, tag, _ = await prepared.execute(arguments, ends - monotonic() if ends else None)
            return prepared.finish(records, tag, self.started_at, self.figures.on_slow, self.transaction_state.observed)
        except Exception as error:
            return await self._retried(error, query, arguments, ends)
        except BaseException as error:
            # Cancelled: the server is told to stop, and only a reset waits until it has.
            self.needs_reset()
            self.count_failure(query, error)
            self.record_failure(error)
            raise
        finally:
            self.sent_at = NEVER

    async def send(self, sql: str, step: str) -> str:
        """Run SQL of the layer's own, without arguments. Return the command tag. Raises errors as own_error()."""
        before, self.sent_at = self.sent_at, monotonic()
        began = self.sent_at
        try:
            status = await super().execute(sql)
        except DRIVER_ERRORS as error:
            self.count_step(step, began, error)
            if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
                self._note_refused_write()
            if own := self.own_error(error, step):
                raise own from error
            raise
        except BaseException:
            self.give_up()
            raise
        else:
            self.count_step(step, began, None)
            return status
        finally:
            self.sent_at = before

    @contextmanager
    def raw(self, sql: str, timeout: float | None) -> Generator[None]:
        """Run raw SQL in the block, with asyncpg's methods. It may change the session in any way.

        The server may be silent for the answer timeout, or without limit if the caller has a `timeout` in seconds.
        Raises the errors of app.db where it has one.
        """
        self.refuse_misuse("raw SQL")
        self.start(sql)
        self.before_raw(sql)
        try:
            with self.awaiting_answer() if timeout is None else nullcontext():
                yield
            self.count(self.figures.of_step(RAW_SQL))
        except DRIVER_ERRORS as error:
            self.count(self.figures.of_step(RAW_SQL), error)
            self.record_failure(error)
            if own := self.own_error(error, "raw SQL"):
                raise own from error
            raise
        except BaseException as error:
            self.count(self.figures.of_step(RAW_SQL), error)
            self.record_failure(error)
            raise

    @contextmanager
    def awaiting_answer(self) -> Generator[None]:
        """Limit the server's silence in the block to the answer timeout."""
        before, self.sent_at = self.sent_at, monotonic()
        try:
            yield
        finally:
            self.sent_at = before

    async def _retried(
        self, error: Exception, query: Query, arguments: tuple[object, ...], ends: float | None
    ) -> list[Any]:
        """Run the statement again if a migration had changed its types. Otherwise raise the error, translated."""
        again = True
        while again:
            try:
                if await self.is_better_prepared(error, query, ends):
                    prepared = self.prepared.get(query) or await self.prepare_query(query, ends)
                    records, tag, _ = await prepared.execute(arguments, ends - monotonic() if ends else None)
                    observed = self.transaction_state.observed
                    return prepared.finish(records, tag, self.started_at, self.figures.on_slow, observed)
                again = False
            except Exception as other:
                # A record may contain several unknown types, and the driver names one at a time.
                again = unknown_type(other) not in {None, unknown_type(error)}
                error = other
        self.count_failure(query, error)
        self.raise_translated(error, query, arguments)
        raise error

    def raise_translated(self, error: BaseException, query: Query, arguments: tuple[object, ...]) -> None:
        """Record the failure and raise the layer's own error for it. Return if there is none."""
        own = self._translated(error, query, arguments) if isinstance(error, Exception) else error
        if own is not error:
            own.__cause__ = error
        self.record_failure(own)
        if own is not error:
            raise own

    def _translated(self, error: Exception, query: Query, arguments: tuple[object, ...]) -> Exception:
        own = self.own_error(error, query.function)
        if isinstance(own, DatabaseUnavailable):
            own.may_be_done = own.may_be_done and not query.reads_only
        return own or query.translate(error, arguments)

    def own_error(self, error: Exception, step: str) -> BinderyError | None:
        """Return the layer's own error for one that the driver raised in this step; None if there is none."""
        if lost := self._lost_by(error, step):
            return lost
        if isinstance(error, TimeoutError):
            return StatementTimeout(f"{step} was not done by its deadline; the server was told to stop it")
        if isinstance(error, asyncpg.QueryCanceledError):
            return StatementTimeout(f"the server stopped {step}: {error}")
        return self._busy(step) if is_busy(error) else None

    def _busy(self, step: str) -> ConnectionBusy:
        return ConnectionBusy(
            f"{step} was not sent: another task is using this connection, and last ran {self.running};"
            " give each task a connection of its own: pass the Database to it, or call acquire() in it"
        )

    def _lost_by(self, error: Exception, step: str) -> DatabaseUnavailable | None:
        if isinstance(error, TimeoutError) and not self.is_closed():
            # The caller's own time-out: the server is told to stop, and only a reset waits until it has.
            self.needs_reset()
            return None
        if not (is_lost(error) or self.is_closed()):
            return None
        self.lost = True
        self.needs_reset()
        lost = DatabaseUnavailable(f"the connection was lost during {step}: {self._why_lost or error}")
        lost.may_be_done = self._top_xact is None and was_sent(error)
        return lost

    def refuse_misuse(self, step: str) -> None:
        """Raise ConnectionBusy while another task waits for an answer here, and WrongEventLoop in another loop."""
        if self.affinity is not None:
            self.affinity.refuse_others()
        if self.sent_at != NEVER:
            raise self._busy(step)

    def record_failure(self, error: BaseException) -> None:
        """Record the first error that aborts the transaction or leaves its outcome unknown."""
        state = self.transaction_state
        if not isinstance(error, Exception) or isinstance(error, (TimeoutError, StatementTimeout)):
            state.doubt()
        elif not is_from_server(error):
            return
        explain_lost_statement(error)
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            self._note_refused_write()
        state.fail(error)

    def is_read_only(self) -> bool:
        """Return whether every transaction of this session is read only: a standby, or a server that is set to be so.

        The server reports it with the answer to each statement. Behind a PgBouncer it is not known.
        """
        if self.is_closed():
            return False
        settings = self.get_settings()
        return "on" in {getattr(settings, name, "off") for name in ("in_hot_standby", "default_transaction_read_only")}

    def is_unfit(self) -> bool:
        """Return whether the server no longer has the role that the address asks for, as after a switchover."""
        return self.options.needs_writable and self.is_read_only()

    def is_read_only_by_accident(self) -> bool:
        """Return whether the session is read only although the address does not ask for a read-only server."""
        return not self.options.may_be_read_only and self.is_read_only()

    def _note_refused_write(self) -> None:
        # After a switchover the session would refuse for ever, and a new one may reach a server that does not. A
        # transaction that the caller made read only is no reason.
        if not self.transaction_state.read_only and self.is_read_only_by_accident():
            self.refused_write = True
            self.needs_reset()

    def enter_transaction(self, isolation: str | None, *, read_only: bool) -> None:
        """Record that a transaction begins. asyncpg's own transaction() inside it is a savepoint."""
        work = WORK.get()
        self.transaction_state.begin(read_only=read_only, observed=work and work.transaction_began())
        options: dict[str, Any] = {"isolation": isolation}
        self._top_xact = self._marks.get(isolation) or self._marks.setdefault(isolation, self.transaction(**options))

    def leave_transaction(self) -> None:
        """Record that the transaction is over."""
        self._top_xact = None
        if self.transaction_state.observed is not None and (work := WORK.get()) is not None:
            work.transaction_ended(self.transaction_state.observed, self.transaction_state.failure)
        self.transaction_state.end()
        self.settings_are_over()

    def start(self, function: str, sql: str | None = None) -> None:
        """Record that a named statement begins, and that its text `sql` may change the session."""
        self.running, self.started_at = function, monotonic()
        if sql is not None:
            self.touch(sql)

    def abandon(self) -> None:
        """Give up a session whose lease ended while a task was still using it."""
        self._why_lost = "its block ended while this task was still using it"
        self.give_up()

    def seconds_overdue(self, now: float) -> float | None:
        """Return for how many seconds the server has been silent, if that is longer than it may be; else None."""
        if self.answer_timeout is None or now <= self.sent_at + self.answer_timeout:
            return None
        return now - self.sent_at

    def explain_silence(self, seconds: float) -> None:
        """Give the server's silence as the reason for the loss of the connection, which is closed next."""
        self._why_lost = f"the server had not answered for {seconds:.1f} s"

    async def ping(self) -> None:
        """Wait until the server answers. Raises an error of the driver when the connection is dead."""
        await self.execute("select")
