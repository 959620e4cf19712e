"""Transactions and savepoints. A block that ends without an exception was stored, or raises the reason why not."""

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Literal

import asyncpg

from app.db.counting.transaction_state import Marker
from app.db.errors import BadArgument, CommitUnknown, ConnectionBusy, DatabaseUnavailable, TransactionAborted
from app.db.session.driver import had_ended
from app.db.session.session import Session

Isolation = Literal["read_committed", "repeatable_read", "serializable"]
_ISOLATIONS = ("read_committed", "repeatable_read", "serializable")
_REFUSED_SETTINGS = (
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidParameterValueError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.CantChangeRuntimeParamError,
    asyncpg.InvalidNameError,
)


@dataclass(frozen=True, slots=True)
class TransactionOptions:
    """How a transaction runs: its isolation (None: the server's default), and whether it is read only or deferrable.

    `first` is SQL without arguments that is sent together with BEGIN. `settings` is SQL that sets parameters for the
    transaction. Raises ValueError for an unknown isolation.
    """

    isolation: Isolation | None = None
    readonly: bool = False
    deferrable: bool = False
    first: str = ""
    settings: str = ""

    def __post_init__(self) -> None:
        if self.isolation is not None and self.isolation not in _ISOLATIONS:
            raise ValueError(f"there is no isolation {self.isolation!r}; there are {', '.join(_ISOLATIONS)}")


options_of = cache(TransactionOptions)
"""Returns the same object for the same options: every transaction asks for some."""
NO_OPTIONS = options_of()


class TransactionBlock:
    """`async with` puts BEGIN and COMMIT around the block, or a savepoint inside a transaction; ROLLBACK on exceptions.

    Raises TransactionAborted when the block ends normally after a statement in it failed, CommitUnknown when COMMIT got
    no answer, DatabaseUnavailable when the connection was lost earlier, so that nothing was stored, and ValueError for
    options that a savepoint cannot have.
    """

    __slots__ = ("_marker", "_options", "_savepoint", "_session")

    def __init__(self, session: Session, options: TransactionOptions = NO_OPTIONS) -> None:
        self._session = session
        self._options = options
        self._savepoint = ""
        self._marker: Marker = None, False

    async def __aenter__(self) -> None:
        if self._session.is_in_transaction():
            await self._set_savepoint()
        else:
            await self.begin()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc_type is GeneratorExit:
                # The garbage collector ends a task that will never run again, and nothing may be awaited in it.
                self._session.give_up()
            elif exc_type is not None:
                await self._roll_back()
            elif self._savepoint:
                await self._release()
            else:
                await self._commit()
        finally:
            if self._savepoint:
                self._session.transaction_state.leave_savepoint()
            else:
                self._session.leave_transaction()

    async def begin(self) -> None:
        """Send BEGIN, on a connection that is known not to be in a transaction."""
        session, options = self._session, self._options
        if session.is_closed():
            raise DatabaseUnavailable("the connection was lost before BEGIN")
        session.enter_transaction(options.isolation, read_only=options.readonly)
        begin = _begin_text(options.isolation, options.readonly, options.deferrable)
        for_each = session.options.settings_of_transactions
        try:
            await session.send(begin + for_each + options.settings + options.first, "BEGIN")
        except BaseException as error:
            # A busy connection may be in a transaction of another task.
            if session.is_in_transaction() and not isinstance(error, (GeneratorExit, ConnectionBusy)):
                await self._roll_back()
            session.leave_transaction()
            if options.settings and isinstance(error, _REFUSED_SETTINGS):
                raise BadArgument("transaction", "settings", str(error)) from error
            raise
        if options.settings:
            session.settings_were_set(options.settings)

    async def _set_savepoint(self) -> None:
        if self._options != NO_OPTIONS:
            raise ValueError(
                "a nested transaction is a savepoint and takes no isolation, readonly, deferrable or settings; "
                "give them to the outermost transaction()"
            )
        state = self._session.transaction_state
        name = f"s{state.savepoints + 1}"
        before = state.failure, state.in_doubt
        await self._session.send(f"savepoint {name}", "SAVEPOINT")
        state.enter_savepoint()
        self._savepoint, self._marker = name, before

    async def _release(self) -> None:
        state = self._session.transaction_state
        try:
            if not state.in_doubt:
                await self._session.send(f"release {self._savepoint}", "RELEASE")
                return
        except asyncpg.InFailedSQLTransactionError:
            # The error below says so, with the statement that failed.
            state.doubt()
        failure = state.failure
        await self._roll_back()
        raise aborted("savepoint", failure) from failure

    async def _commit(self) -> None:
        session = self._session
        failure = session.transaction_state.failure
        if session.transaction_state.in_doubt and not session.is_closed():
            await self._roll_back()
            raise aborted("transaction", failure) from failure
        await commit(session)

    async def _roll_back(self) -> None:
        """Undo the block. When the connection is lost, the server does that by itself."""
        session = self._session
        rollback = f"rollback to {self._savepoint}; release {self._savepoint}" if self._savepoint else "rollback"
        try:
            await session.send(rollback, "ROLLBACK")
        except DatabaseUnavailable:
            return
        except BaseException as error:
            session.record_failure(error)
            raise
        if self._savepoint:
            session.transaction_state.restore(self._marker)
            if not session.has_usual_path:
                session.path_may_have_changed()


def in_transaction(session: Session) -> AbstractAsyncContextManager[None]:
    """Return a transaction for a block, or nothing if one is open: all steps run in one session and see one schema.

    Tables that a statement mentions are locked when it is prepared, so that their types cannot change before the end.
    """
    return nullcontext() if session.is_in_transaction() else TransactionBlock(session)


def aborted(what: str, failure: BaseException | None) -> TransactionAborted:
    """Return the error for a block that ended normally although `failure` had aborted it."""
    reason = f"{type(failure).__name__}: {failure}" if failure else "one that ran on asyncpg's own connection"
    return TransactionAborted(
        f"the {what} was rolled back, since a statement in it had failed ({reason}); "
        f"let its exception leave the block, or put a transaction() around that statement"
    )


async def commit(session: Session) -> None:
    """Commit. Raises TransactionAborted, CommitUnknown or DatabaseUnavailable, as TransactionBlock does."""
    failure = session.transaction_state.failure
    if not session.is_in_transaction():
        if session.is_closed():
            raise DatabaseUnavailable("the connection was lost before COMMIT: nothing was stored") from failure
        raise TransactionAborted("raw SQL ended this transaction inside its block, which cannot know what is stored")
    if await _send_commit(session) == "ROLLBACK":
        raise aborted("transaction", failure) from failure


async def _send_commit(session: Session) -> str:
    """Return the answer: COMMIT, or ROLLBACK if a statement had failed. Raises CommitUnknown when there is none."""
    try:
        return await session.send("commit", "COMMIT")
    except DatabaseUnavailable as error:
        if had_ended(error.__cause__):
            raise
        raise CommitUnknown(f"nobody answered COMMIT: all of it was stored or nothing ({error})") from error
    except Exception:
        if session.is_in_transaction():
            session.give_up()
        raise


@cache
def _begin_text(isolation: Isolation | None, readonly: bool, deferrable: bool) -> str:
    level = f" isolation level {isolation.replace('_', ' ')}" if isolation else ""
    return f"begin{level}{' read only' if readonly else ''}{' deferrable' if deferrable else ''};"
