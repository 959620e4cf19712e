"""The codecs that every connection has before its first statement."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from app.db.session.builtin_types import know_builtin_types
from app.db.session.driver import DriverConnection

Codecs = Callable[[DriverConnection], Awaitable[object]]
"""A function that sets codecs of extension types on a new connection, by asyncpg's set_type_codec()."""

_JSONB_VERSION = b"\x01"


async def set_codecs(connection: DriverConnection, own: Codecs | None = None) -> None:
    """Set the codecs of json and jsonb, which asyncpg leaves as text, and then those of `own`.

    They use the binary format, because asyncpg cannot use a text codec in composites, records and COPY.
    """
    await connection.set_type_codec("json", schema="pg_catalog", encoder=_json, decoder=json.loads, format="binary")
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_jsonb, decoder=_from_jsonb, format="binary")
    if own is not None:
        await own(connection)
    know_builtin_types(connection)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _jsonb(value: Any) -> bytes:
    return _JSONB_VERSION + json.dumps(value).encode()


def _from_jsonb(data: bytes) -> Any:
    return json.loads(data[1:])
