"""Raw SQL over asyncpg: a pool, named SQL statements bound to typed functions, transactions.

Words: a *session* is one connection to the server, and the *pool* owns the sessions. A *connection* is what a caller is
lent for the length of a block. A *statement* is SQL with a name in a file; a *query* is a statement that is bound to a
function. An *executor* runs queries: the Database itself, or a connection. *Work* is what one request or job does.

Read database.py and connection.py first, then pool/pool.py, session/session.py and binding/queries.py. Modules whose
first word is "Optional" can wait.
"""

from app.db.binding.queries import Queries
from app.db.binding.query import Executor, Query
from app.db.binding.reload import reload_on_change
from app.db.connection import Connection
from app.db.counting.figures import DURATION_BUCKETS, Figures, StatementFigures
from app.db.counting.work import WORK, RepeatedStatement, Work
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
    SQLFileError,
    StatementTimeout,
    TokenUsed,
    TooManyRows,
    TransactionAborted,
    WrongEventLoop,
    is_server_unfit,
)
from app.db.expecting import statements
from app.db.listen import Gap, Notification
from app.db.pool.leases import LeaseReport
from app.db.pool.statistics import PoolStatistics

__all__ = [
    "DURATION_BUCKETS",
    "WORK",
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
    "Figures",
    "Gap",
    "LeaseReport",
    "LockLost",
    "NotConnected",
    "NotFound",
    "Notification",
    "PoolStatistics",
    "PoolTimeout",
    "Queries",
    "Query",
    "RepeatedStatement",
    "SQLFileError",
    "SessionStateRefused",
    "StatementFigures",
    "StatementTimeout",
    "TokenUsed",
    "TooManyRows",
    "TransactionAborted",
    "Work",
    "WrongEventLoop",
    "is_server_unfit",
    "reload_on_change",
    "statements",
]
