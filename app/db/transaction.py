"""Transactions and savepoints: a block that ends without an exception was stored, or says why not."""

from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import asyncpg

from app.db.errors import BadArgument, CommitUnknown, ConnectionBusy, DatabaseUnavailable, TransactionAborted
from app.db.patience import raised_patience
from app.db.search_path import may_change_path

if TYPE_CHECKING:
    from app.db.server_connection import ServerConnection

Isolation = Literal["read_committed", "repeatable_read", "serializable"]
_ISOLATIONS = ("read_committed", "repeatable_read", "serializable")
_REFUSED_SETTINGS = (
    asyncpg.UndefinedObjectError,
    asyncpg.InvalidParameterValueError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.CantChangeRuntimeParamError,
    asyncpg.InvalidNameError,
)
# The last one is what the driver says when the server ended the session in the very moment before a statement was sent.
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncpg.InternalClientError)


@dataclass(frozen=True, slots=True)
class TransactionOptions:
    """How a transaction runs: its isolation (None: the server's default), and whether it may write or be deferred.

    `first` is SQL without arguments that travels in the same message as BEGIN, `settings` is some that sets what holds
    for the transaction. ValueError for an unknown isolation.
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
"""The same options once: they are asked for with every transaction."""
NO_OPTIONS = options_of()


class TransactionBlock:
    """`async with` puts BEGIN and COMMIT around the block, a savepoint inside a transaction; ROLLBACK on any exception.

    Raises TransactionAborted when the block ends normally after a statement in it failed, CommitUnknown when nobody
    answered COMMIT, DatabaseUnavailable when the connection was lost before, so that certainly nothing was stored, and
    ValueError for options that a savepoint cannot honour.
    """

    __slots__ = ("_options", "_outer", "_patience", "_savepoint", "_server")

    def __init__(self, server: "ServerConnection", options: TransactionOptions = NO_OPTIONS) -> None:
        self._server = server
        self._options = options
        self._savepoint = ""

    async def __aenter__(self) -> None:
        if self._server.is_in_transaction():
            await self._set_savepoint()
        else:
            await self.begin()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc_type is GeneratorExit:
                # The garbage collector ends a task that nobody can wake any more, and nothing may be awaited in it.
                self._server.give_up()
            elif exc_type is not None:
                await self._roll_back()
            elif self._savepoint:
                await self._release()
            else:
                await self._commit()
        finally:
            if self._savepoint:
                self._server.savepoints -= 1
            else:
                self._server.leave_transaction()
                if self._options.settings:
                    self._server.patience = self._patience

    async def begin(self) -> None:
        """BEGIN, on a connection that is known to be in no transaction."""
        server, options = self._server, self._options
        if server.is_closed():
            raise DatabaseUnavailable("the connection was lost before BEGIN")
        server.enter_transaction(options.isolation)
        server.read_only_block = options.readonly
        begin = _begin_text(options.isolation, options.readonly, options.deferrable)
        try:
            await server.send(begin + server.settings_of_transactions + options.settings + options.first, "BEGIN")
        except BaseException as error:
            # One that is busy may be in a transaction of another task.
            if server.is_in_transaction() and not isinstance(error, (GeneratorExit, ConnectionBusy)):
                await self._roll_back()
            server.leave_transaction()
            if options.settings and isinstance(error, _REFUSED_SETTINGS):
                raise BadArgument("transaction", "settings", str(error)) from error
            raise
        if options.settings:
            self._patience = server.patience
            server.patience = raised_patience(options.settings, server.patience)
            if may_change_path(options.settings):
                server.path_may_have_changed()

    async def _set_savepoint(self) -> None:
        server = self._server
        if self._options != NO_OPTIONS:
            raise ValueError(
                "a nested transaction is a savepoint and takes no isolation, readonly, deferrable or settings; "
                "give them to the outermost transaction()"
            )
        self._outer = server.failure, server.in_doubt
        await server.send(f"savepoint s{server.savepoints + 1}", "SAVEPOINT")
        server.savepoints += 1
        self._savepoint = f"s{server.savepoints}"

    async def _release(self) -> None:
        server = self._server
        try:
            if not server.in_doubt:
                await server.send(f"release {self._savepoint}", "RELEASE")
                return
        except asyncpg.InFailedSQLTransactionError:
            # Told below, together with what failed.
            server.in_doubt = True
        failure = server.failure
        await self._roll_back()
        raise aborted("savepoint", failure) from failure

    async def _commit(self) -> None:
        server = self._server
        failure = server.failure
        if server.in_doubt and not server.is_closed():
            await self._roll_back()
            raise aborted("transaction", failure) from failure
        await commit(server)

    async def _roll_back(self) -> None:
        """Undo the block; for a connection that is lost the server does it."""
        server = self._server
        rollback = f"rollback to {self._savepoint}; release {self._savepoint}" if self._savepoint else "rollback"
        try:
            await server.send(rollback, "ROLLBACK")
        except DatabaseUnavailable:
            return
        except BaseException as error:
            server.failed(error)
            raise
        if self._savepoint:
            server.failure, server.in_doubt = self._outer
            if not server.has_usual_path:
                server.path_may_have_changed()


def aborted(what: str, failure: BaseException | None) -> TransactionAborted:
    """The error for a block that ended as if nothing had failed in it; `failure` is what had."""
    reason = f"{type(failure).__name__}: {failure}" if failure else "one that ran on asyncpg's own connection"
    return TransactionAborted(
        f"the {what} was rolled back, since a statement in it had failed ({reason}); "
        f"let its exception leave the block, or put a transaction() around that statement"
    )


@cache
def _begin_text(isolation: Isolation | None, readonly: bool, deferrable: bool) -> str:
    level = f" isolation level {isolation.replace('_', ' ')}" if isolation else ""
    return f"begin{level}{' read only' if readonly else ''}{' deferrable' if deferrable else ''};"


async def commit(server: "ServerConnection") -> None:
    """COMMIT, or the error that says what became of the transaction instead: see TransactionBlock."""
    failure = server.failure
    if not server.is_in_transaction():
        if server.is_closed():
            raise DatabaseUnavailable("the connection was lost before COMMIT: nothing was stored") from failure
        raise TransactionAborted("raw SQL ended this transaction inside its block, which cannot know what is stored")
    if await _send_commit(server) == "ROLLBACK":
        raise aborted("transaction", failure) from failure


async def _send_commit(server: "ServerConnection") -> str:
    """The answer: COMMIT, or ROLLBACK for a transaction in which a statement had failed; CommitUnknown for none."""
    try:
        return await server.send("commit", "COMMIT")
    except DatabaseUnavailable as error:
        raise CommitUnknown(f"nobody answered COMMIT: all of it was stored or nothing ({error})") from error
    except Exception:
        if server.is_in_transaction():
            server.give_up()
        raise
