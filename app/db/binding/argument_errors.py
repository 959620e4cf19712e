"""Finds out which argument the driver or the server refused and why, without revealing the value."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import asyncpg

from app.db.errors import BadArgument, is_of_the_moment

_DRIVER = re.compile(r"invalid input for query argument \$(\d+): ")
# The outermost line of the context, in any language: `unnamed portal parameter $2 = '...'`.
_SERVER = re.compile(r"(?:^|\n)[^\n$]*\$(\d+)(?: = '.*')?\Z", re.DOTALL)
# A message ends with the value: `invalid input value for enum state: "shut"`.
_QUOTED_VALUE = re.compile(r": \".*\Z", re.DOTALL)
_NUL = "contains a NUL character, which text cannot hold"


def bad_argument(
    function: str, parameters: Sequence[str], arguments: Sequence[object], error: asyncpg.PostgresError
) -> BadArgument | None:
    """Return BadArgument for the argument that the error names; None if it names none."""
    if isinstance(error, asyncpg.DataError) and (marker := _DRIVER.match(str(error))):
        return BadArgument(function, parameters[int(marker[1]) - 1], _drivers_reason(error.__cause__))
    if not is_of_the_moment(error) and (marker := _SERVER.search(error.context or "")):
        number = int(marker[1]) - 1
        # The context of a trigger may look the same, with a number beyond the arguments.
        if number < len(arguments):
            return BadArgument(function, parameters[number], _servers_reason(error, arguments[number]))
    return None


def _drivers_reason(cause: BaseException | None) -> str:
    """Return why the driver refused a value, `value out of int64 range`. The value itself may be secret or huge."""
    if isinstance(cause, UnicodeEncodeError):
        return cause.reason
    # These two mention types and ranges; a ValueError quotes its value.
    return str(cause) if isinstance(cause, (TypeError, OverflowError)) else "is not a value of this type"


def _servers_reason(error: asyncpg.PostgresError, value: object) -> str:
    """Return why the server refused a value: `invalid input value for enum state`."""
    texts = list(_texts(value))
    if any("\0" in text for text in texts):
        return _NUL
    reason = _QUOTED_VALUE.sub("", error.message or type(error).__name__)
    for text in texts:
        reason = reason.replace(f'"{text}"', "of this name")
    return reason


def _texts(value: Any) -> Iterator[str]:
    """Return every text inside a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for pair in cast("Mapping[Any, Any]", value).items():
            yield from _texts(pair)
    elif isinstance(value, (list, tuple)):
        for item in cast("Sequence[Any]", value):
            yield from _texts(item)
