"""The errors of this layer. Each message says what to do; none contains a secret or the value of an argument."""

import asyncpg


class BinderyError(Exception):
    """The parent of every error that this layer raises."""


class SQLFileError(BinderyError):
    """An SQL file is invalid. The message begins with the place, `sql/users.sql:12:8: `, and shows the line."""


class BindingError(BinderyError):
    """A statement and its Python signature do not match. Raised at import, or when the statement is first prepared."""


class NotFound(BinderyError):
    """The requested row does not exist, or a row that it refers to does not."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource} not found")
        self.resource = resource


class Conflict(BinderyError):
    """A unique constraint refused a value that is already taken; `field` is the caller's name for it."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} has already been taken")
        self.field = field


class TooManyRows(BinderyError):
    """A statement declared to return one row returned several."""


class BadArgument(BinderyError):
    """PostgreSQL cannot store an argument in the type of its parameter."""

    def __init__(self, function: str, parameter: str, reason: str) -> None:
        super().__init__(f"{function}({parameter}=...): {reason}")
        self.function = function
        self.parameter = parameter
        self.reason = reason


class BadRow(BinderyError):
    """A row cannot be copied, and nothing was stored. `row` counts from 1; `column` is None if it is not known."""

    def __init__(self, function: str, row: int, column: str | None, reason: str) -> None:
        where = f"row {row}" if column is None else f"row {row}, column {column}"
        super().__init__(f"{function}: {where}: {reason}")
        self.function = function
        self.row = row
        self.column = column
        self.reason = reason


class NotConnected(BinderyError):
    """The Database is not open, or the connection was already returned to the pool."""


class ConnectionBusy(BinderyError):
    """Two tasks used one connection at the same time; the second statement was not sent. Give each task its own."""


class WrongEventLoop(BinderyError):
    """A Database or connection was used outside the event loop, thread or process that opened it."""


class SessionStateRefused(BinderyError):
    """A statement would leave settings, locks or the like in a session that PgBouncer shares between transactions."""


class PoolTimeout(BinderyError):
    """No connection became free in time. The message describes what the pool was doing."""


class DatabaseUnavailable(BinderyError):
    """The server cannot be reached, refuses the login or closed the connection. The message says which server.

    `may_be_done` is true when a statement outside any transaction was running: it may have been executed.
    """

    may_be_done = False


class StatementTimeout(BinderyError):
    """A statement was cancelled, by its deadline or by the server's limit. Outside a transaction it may have run."""


class TransactionAborted(BinderyError):
    """The block ended without an exception although a statement in it had failed. Nothing was stored."""


class CommitUnknown(BinderyError):
    """The connection was lost during COMMIT: either the whole transaction was stored or nothing was."""


class TokenUsed(BinderyError):
    """A transaction with this token was committed earlier; the function did not run again."""


class LockLost(BinderyError):
    """The connection that held an advisory lock was lost. The block was cancelled; others may hold the lock now."""


# SQLSTATE classes: conflicts of transactions, room, locks, what operators do, faults of the machine.
_OF_THE_MOMENT = frozenset({"25", "40", "53", "55", "57", "58"})


def is_of_the_moment(error: asyncpg.PostgresError) -> bool:
    """Return whether the same statement with the same arguments may succeed the next time.

    PostgreSQL tells where in a text, in which argument or row it was when it ran out of memory or met a deadlock, as
    it does for a mistake there.
    """
    return (error.sqlstate or "")[:2] in _OF_THE_MOMENT


def is_server_unfit(error: Exception) -> bool:
    """Return whether the server refused for a reason of its own, such as a full disk. Nothing was executed.

    Such errors are SQLSTATE 25006 (the server accepts no writes) and class 53 (no disk space, memory or connections).
    """
    return isinstance(error, asyncpg.ReadOnlySQLTransactionError | asyncpg.InsufficientResourcesError)
