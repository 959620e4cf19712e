"""The data layer: a pool, named SQL statements bound to typed functions, transactions. Knows no table and no HTTP."""

from app.db.connection import Connection
from app.db.database import Database
from app.db.errors import (
    BadArgument,
    BadRow,
    BinderyError,
    BindingError,
    Conflict,
    DatabaseUnavailable,
    NotConnected,
    NotFound,
    PoolTimeout,
    SessionStateRefused,
    TooManyRows,
)
from app.db.queries import Executor, Queries
from app.db.reload import reload_on_change

__all__ = [
    "BadArgument",
    "BadRow",
    "BinderyError",
    "BindingError",
    "Conflict",
    "Connection",
    "Database",
    "DatabaseUnavailable",
    "Executor",
    "NotConnected",
    "NotFound",
    "PoolTimeout",
    "Queries",
    "SessionStateRefused",
    "TooManyRows",
    "reload_on_change",
]
