"""Recognizes why a statement was refused: for its text, or for outdated caches of types and statements."""

import re
from collections.abc import Iterable

import asyncpg

from app.db.errors import BadArgument, is_of_the_moment

_UNKNOWN_TYPE = re.compile(r"no decoder for .* of type OID (\d+)")


def is_fault_of_text(error: asyncpg.PostgresError) -> bool:
    """Return whether PostgreSQL did not understand a text. An invalid literal, 'x'::int, has a position in it, too."""
    return isinstance(error, asyncpg.SyntaxOrAccessError) or (
        error.position is not None and not is_of_the_moment(error)
    )


def refused_as_outdated(error: Exception) -> bool:
    """Return whether the server may have refused a statement because types changed after it was prepared."""
    if isinstance(error, asyncpg.InternalServerError):
        # "cache lookup failed for type 16442"
        return str(error).startswith("cache lookup failed")
    if isinstance(error, (asyncpg.DatatypeMismatchError, asyncpg.UndefinedObjectError)):
        # It concerns a parameter; an error in the text has a position.
        return error.position is None
    return isinstance(
        error,
        (
            asyncpg.InvalidCachedStatementError,
            asyncpg.InvalidBinaryRepresentationError,
            asyncpg.ProtocolViolationError,
            # DISCARD ALL or DEALLOCATE ALL dropped it.
            asyncpg.InvalidSQLStatementNameError,
        ),
    )


def explain_lost_statement(error: BaseException) -> None:
    """Add a note to an error about a missing prepared statement: there may be a PgBouncer in between."""
    if isinstance(error, (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)):
        error.add_note(
            "is there a PgBouncer in transaction mode in between? Then set DB_PGBOUNCER=true, or give pgbouncer=True to"
            " the Database"
        )


def unknown_type(error: Exception) -> int | None:
    """Return the number (OID) of a type inside a record that the driver does not know yet; None for other errors."""
    found = _UNKNOWN_TYPE.search(str(error)) if isinstance(error, asyncpg.InternalClientError) else None
    return int(found[1]) if found else None


def refused_by_driver(error: Exception) -> bool:
    """Return whether the driver refused a value of another type than its parameter. Nothing was sent then."""
    if isinstance(error, asyncpg.DataError):
        return error.severity is None
    return isinstance(error, (BadArgument, asyncpg.UnsupportedClientFeatureError))


def may_change_in_place(types: Iterable[asyncpg.Type]) -> bool:
    """Return whether one of these types can change and keep its number (OID), as composites do."""
    return any(kind.kind in {"composite", "array"} and kind.schema != "pg_catalog" for kind in types)
