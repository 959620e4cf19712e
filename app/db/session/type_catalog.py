"""Asks the server what user-defined types are made of."""

from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg

from app.db.binding.pg_types import TypeInfo
from app.db.session.driver import DriverConnection

# In one round trip, with all parts.
_TYPES = """
with recursive part (oid) as (
    select unnest($1::oid[])
    union
    select inner_.oid from part join pg_catalog.pg_type as t using (oid), lateral (
        select t.typelem where t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc
        union all select t.typbasetype where t.typtype = 'd'
        union all select rngsubtype from pg_catalog.pg_range where t.oid in (rngtypid, rngmultitypid)
        union all select atttypid from pg_catalog.pg_attribute
            where t.typtype = 'c' and attrelid = t.typrelid and attnum > 0 and not attisdropped
    ) as inner_ (oid)
)
select t.oid, t.typname::text as name, t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc as is_array,
    t.typtype::text as kind,
    coalesce((select rngsubtype from pg_catalog.pg_range where t.oid in (rngtypid, rngmultitypid)),
             nullif(t.typbasetype, 0), t.typelem) as of,
    array(select attname::text from pg_catalog.pg_attribute
          where attrelid = t.typrelid and attnum > 0 and not attisdropped order by attnum) as names,
    array(select atttypid from pg_catalog.pg_attribute
          where attrelid = t.typrelid and attnum > 0 and not attisdropped order by attnum) as types
from part join pg_catalog.pg_type as t using (oid)
"""


def is_user_defined_compound(pg_type: asyncpg.Type) -> bool:
    """Return whether only the server knows what the type is made of."""
    return pg_type.schema != "pg_catalog" and pg_type.kind in {"array", "composite", "range", "multirange"}


async def load_type_infos(connection: DriverConnection, types: Iterable[asyncpg.Type]) -> dict[int, TypeInfo]:
    """Return what these types are made of, by number (OID)."""
    numbers = [pg_type.oid for pg_type in types]
    rows = {row["oid"]: row for row in await connection.fetch(_TYPES, numbers)}
    return {number: _built(number, rows) for number in numbers if number in rows}


def _built(number: int, rows: Mapping[int, Any]) -> TypeInfo:
    row = rows[number]
    if row["is_array"]:
        of = _built(row["of"], rows)
        return TypeInfo(f"{of.name}[]", "array", of)
    match row["kind"]:
        case "d":
            return _built(row["of"], rows)
        case "c":
            attributes = zip(row["names"], row["types"], strict=True)
            return TypeInfo(
                row["name"], "composite", None, tuple((name, _built(type_, rows)) for name, type_ in attributes)
            )
        case "r" | "m":
            return TypeInfo(row["name"], "range" if row["kind"] == "r" else "multirange", _built(row["of"], rows))
        case _:
            return TypeInfo(row["name"])
