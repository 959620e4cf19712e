"""asyncpg's connection as a type, its errors by what they mean, and its time-outs."""

from time import monotonic
from typing import TYPE_CHECKING

import asyncpg

from app.db.errors import BinderyError

if TYPE_CHECKING:
    DriverConnection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes are generic to the type checker only
    DriverConnection = asyncpg.Connection

NEVER = float("inf")
"""A moment of time.monotonic() that never comes."""
# The last one is raised when the server ended the session just before a statement was sent.
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncpg.InternalClientError)
"""What asyncpg raises."""
_CONNECTION_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    OSError,
)
_ENDED_IDLE = (asyncpg.IdleSessionTimeoutError, asyncpg.IdleInTransactionSessionTimeoutError)
# The driver's words for the second of two concurrent operations.
_OTHER = "another operation"
_REFUSED = "cannot switch to state"


def is_lost(error: Exception) -> bool:
    """Return whether the error means that the session has ended: the connection broke, or the server closed it."""
    if isinstance(error, asyncpg.PostgresError) and error.severity_en in {"FATAL", "PANIC"}:
        return True
    return isinstance(error, _CONNECTION_LOST)


def was_sent(error: Exception) -> bool:
    """Return whether the statement of a lost connection may have reached the server, and may have been executed."""
    # The driver raises these two before it sends anything; the second when the server's last word was an error.
    is_unsent = isinstance(error, asyncpg.InterfaceError) or _REFUSED in str(error)
    return not is_unsent and not had_ended(error)


def had_ended(error: BaseException | None) -> bool:
    """Return whether the server had ended the session because it did nothing, and so did not execute what was sent."""
    # What the server said last is the cause of the driver's error.
    return error is not None and (isinstance(error, _ENDED_IDLE) or isinstance(error.__cause__, _ENDED_IDLE))


def is_busy(error: Exception) -> bool:
    """Return whether the driver refused an operation because another one is running."""
    return isinstance(error, (asyncpg.InterfaceError, asyncpg.InternalClientError)) and _OTHER in str(error)


def is_from_server(error: Exception) -> bool:
    """Return whether the server raised the error, which aborts a transaction. The driver refuses some values itself."""
    cause = error.__cause__ if isinstance(error, BinderyError) else error
    return isinstance(cause, asyncpg.PostgresError) and cause.severity is not None


def seconds_until(ends: float | None) -> float | None:
    """Return the seconds left until a moment; None for no deadline. The driver starts nothing with 0 or less."""
    return None if ends is None else ends - monotonic()
