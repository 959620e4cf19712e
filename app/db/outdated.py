"""Which errors can come of what was cached of types and statements, once a migration has made it wrong."""

import re
from collections.abc import Iterable

import asyncpg

from app.db.errors import BadArgument

_UNKNOWN_TYPE = re.compile(r"no decoder for .* of type OID (\d+)")


def refused_as_outdated(error: Exception) -> bool:
    """Whether the server may have refused a statement because it was prepared for types that have changed since."""
    if isinstance(error, asyncpg.InternalServerError):
        # "cache lookup failed for type 16442"
        return str(error).startswith("cache lookup failed")
    if isinstance(error, (asyncpg.DatatypeMismatchError, asyncpg.UndefinedObjectError)):
        # Of a parameter; an error in the text itself has a position.
        return error.position is None
    return isinstance(
        error,
        (
            asyncpg.InvalidCachedStatementError,
            asyncpg.InvalidBinaryRepresentationError,
            asyncpg.ProtocolViolationError,
            # Dropped by somebody's DISCARD ALL or DEALLOCATE ALL.
            asyncpg.InvalidSQLStatementNameError,
        ),
    )


def explain_lost_statement(error: BaseException) -> None:
    """Add a note to the error of a session that does not have its prepared statements: somebody may be in between."""
    if isinstance(error, (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)):
        error.add_note(
            "is there a PgBouncer in transaction mode in between? Then set DB_PGBOUNCER=true, or give pgbouncer=True to"
            " the Database"
        )


def unknown_type(error: Exception) -> int | None:
    """The number (OID) of a type inside a record that the driver cannot read before it has asked for it; else None."""
    found = _UNKNOWN_TYPE.search(str(error)) if isinstance(error, asyncpg.InternalClientError) else None
    return int(found[1]) if found else None


def refused_by_driver(error: Exception) -> bool:
    """Whether a value was refused before anything was sent, as one that is none of its parameter's type."""
    if isinstance(error, asyncpg.DataError):
        return error.severity is None
    return isinstance(error, (BadArgument, asyncpg.UnsupportedClientFeatureError))


def may_change_in_place(types: Iterable[asyncpg.Type]) -> bool:
    """Whether one of these types can get other attributes and keep its number; any other is a new type then."""
    return any(kind.kind in {"composite", "array"} and kind.schema != "pg_catalog" for kind in types)
