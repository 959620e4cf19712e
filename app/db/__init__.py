"""The data layer: a pool, named SQL statements bound to typed functions, transactions. Knows no table and no HTTP."""

from app.db.connection import Connection
from app.db.database import Database
from app.db.errors import (
    BadArgument,
    BadRow,
    BinderyError,
    BindingError,
    CommitUnknown,
    Conflict,
    ConnectionBusy,
    DatabaseUnavailable,
    LockLost,
    NotConnected,
    NotFound,
    PoolTimeout,
    SessionStateRefused,
    StatementTimeout,
    TokenUsed,
    TooManyRows,
    TransactionAborted,
    WrongEventLoop,
)
from app.db.notifications import Gap, Notification
from app.db.queries import Executor, Queries
from app.db.reload import reload_on_change
from app.db.server import is_server_unfit

__all__ = [
    "BadArgument",
    "BadRow",
    "BinderyError",
    "BindingError",
    "CommitUnknown",
    "Conflict",
    "Connection",
    "ConnectionBusy",
    "Database",
    "DatabaseUnavailable",
    "Executor",
    "Gap",
    "LockLost",
    "NotConnected",
    "NotFound",
    "Notification",
    "PoolTimeout",
    "Queries",
    "SessionStateRefused",
    "StatementTimeout",
    "TokenUsed",
    "TooManyRows",
    "TransactionAborted",
    "WrongEventLoop",
    "is_server_unfit",
    "reload_on_change",
]
