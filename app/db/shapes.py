"""What a type is made of: elements, attributes, bounds. A domain is what it restricts."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import asyncpg

from app.db.codecs import DriverConnection

_RANGES = {
    "int4range": "int4", "int8range": "int8", "numrange": "numeric", "daterange": "date", "tsrange": "timestamp",
    "tstzrange": "timestamptz",
}  # fmt: skip
_MULTIRANGES = {
    "int4multirange": "int4range", "int8multirange": "int8range", "nummultirange": "numrange",
    "datemultirange": "daterange", "tsmultirange": "tsrange", "tstzmultirange": "tstzrange",
}  # fmt: skip
# Asked for at once, with everything that they are made of.
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


class Shape(NamedTuple):
    """A type and what it is made of."""

    name: str
    """`timestamptz`, `int4[]`, `line_item`."""
    kind: Literal["scalar", "array", "composite", "range", "multirange"] = "scalar"
    of: "Shape | None" = None
    """The elements of an array, the bounds of a range or multirange."""
    attributes: tuple[tuple[str, "Shape"], ...] = ()
    """The names and types of a composite."""


def shape_of(pg_type: asyncpg.Type, known: Mapping[int, Shape]) -> Shape:
    """The shape of a type as the driver describes it; `known` has those that is_own_compound() is true of."""
    return known.get(pg_type.oid) or _builtin(pg_type.name)


def is_own_compound(pg_type: asyncpg.Type) -> bool:
    """Whether only the server knows what the type is made of."""
    return pg_type.schema != "pg_catalog" and pg_type.kind in {"array", "composite", "range", "multirange"}


async def load_shapes(connection: DriverConnection, types: Iterable[asyncpg.Type]) -> dict[int, Shape]:
    """The shapes of these types, by number (OID)."""
    numbers = [pg_type.oid for pg_type in types]
    rows = {row["oid"]: row for row in await connection.fetch(_TYPES, numbers)}
    return {number: _built(number, rows) for number in numbers if number in rows}


def _builtin(name: str) -> Shape:
    if name.endswith("[]"):
        return Shape(name, "array", _builtin(name.removesuffix("[]")))
    if name in _RANGES:
        return Shape(name, "range", Shape(_RANGES[name]))
    if name in _MULTIRANGES:
        return Shape(name, "multirange", Shape(_RANGES[_MULTIRANGES[name]]))
    return Shape(name)


def _built(number: int, rows: Mapping[int, Any]) -> Shape:
    row = rows[number]
    if row["is_array"]:
        of = _built(row["of"], rows)
        return Shape(f"{of.name}[]", "array", of)
    match row["kind"]:
        case "d":
            return _built(row["of"], rows)
        case "c":
            attributes = zip(row["names"], row["types"], strict=True)
            return Shape(
                row["name"], "composite", None, tuple((name, _built(type_, rows)) for name, type_ in attributes)
            )
        case "r" | "m":
            return Shape(row["name"], "range" if row["kind"] == "r" else "multirange", _built(row["of"], rows))
        case _:
            return Shape(row["name"])
