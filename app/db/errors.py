"""What can go wrong in this layer; every message says what to do, none holds a secret."""


class BinderyError(Exception):
    """The common parent of every error that this layer raises by itself."""


class BindingError(BinderyError):
    """A statement and its Python signature do not fit each other; raised at import, or when it is first prepared."""


class NotFound(BinderyError):
    """The one row that was asked for is not there, or a row that was referred to is gone."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"{resource} not found")
        self.resource = resource


class Conflict(BinderyError):
    """A unique constraint says that this value is taken; `field` is what the caller knows it as."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} has already been taken")
        self.field = field


class TooManyRows(BinderyError):
    """A statement that promises one row found several; it never picks "the first"."""


class BadArgument(BinderyError):
    """A value that PostgreSQL cannot store in the type it is meant for."""

    def __init__(self, function: str, parameter: str, reason: str) -> None:
        super().__init__(f"{function}({parameter}=...): {reason}")
        self.function = function
        self.parameter = parameter
        self.reason = reason


class BadRow(BinderyError):
    """A row that cannot be copied; `row` counts from 1, `column` is None where nobody knows it. Nothing was stored."""

    def __init__(self, function: str, row: int, column: str | None, reason: str) -> None:
        where = f"row {row}" if column is None else f"row {row}, column {column}"
        super().__init__(f"{function}: {where}: {reason}")
        self.function = function
        self.row = row
        self.column = column
        self.reason = reason


class NotConnected(BinderyError):
    """The Database was never opened or is closed, or the connection was given back already."""


class ConnectionBusy(BinderyError):
    """Two tasks used one connection at the same time; the second statement was not sent. Give each its own."""


class WrongEventLoop(BinderyError):
    """A Database or connection was used in another event loop, thread or process than the one that opened it."""


class SessionStateRefused(BinderyError):
    """Behind a PgBouncer in transaction mode no statement may leave settings, locks or the like in its session."""


class PoolTimeout(BinderyError):
    """No connection became free in time; the message says what the pool was doing."""


class DatabaseUnavailable(BinderyError):
    """The server cannot be reached, refuses the login or went away; the message says which server and what to try.

    `may_be_done`: a statement of its own, outside any transaction, was under way and may have been carried out.
    """

    may_be_done = False


class StatementTimeout(BinderyError):
    """A statement was stopped, at its deadline or by the server's own limit; outside a transaction it may have run."""


class TransactionAborted(BinderyError):
    """The block ended as if all were well, but a statement in it had failed: nothing was stored. The cause is why."""


class CommitUnknown(BinderyError):
    """The connection broke at COMMIT: the transaction was stored as a whole or not at all, and nobody can say which."""


class TokenUsed(BinderyError):
    """A transaction with this token was committed before: the function did not run again."""


class LockLost(BinderyError):
    """The connection that held an advisory lock broke: the block was cancelled, others may hold the lock by now."""
