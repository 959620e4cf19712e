"""PostgreSQL's types: the one table of scalars against Python's types, and what other types are made of."""

import ipaddress
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, NamedTuple
from uuid import UUID

import asyncpg


class Scalar(NamedTuple):
    """A scalar type of PostgreSQL."""

    name: str
    """The driver's name, `int8`."""
    sql_name: str
    """The name that a cast uses, `bigint`."""
    reads: tuple[Any, ...]
    """The Python types of its values."""
    also_stores: tuple[Any, ...] = ()
    """The other Python types that it stores without loss."""
    has_time_zone: bool | None = None
    """Whether a moment must have a time zone. None for types that are not moments."""
    is_strict: bool = True
    """Whether the layer accepts only these types as arguments. The driver converts texts to the others."""


# A float is not stored without loss in a numeric column: 1.9 becomes 1.8999999….
_SCALARS = (
    Scalar("int2", "smallint", (int,)),
    Scalar("int4", "integer", (int,)),
    Scalar("int8", "bigint", (int,)),
    Scalar("oid", "oid", (int,)),
    Scalar("numeric", "numeric", (Decimal,), (int,)),
    Scalar("float4", "real", (float,), (int,)),
    Scalar("float8", "double precision", (float,), (int,)),
    Scalar("bool", "boolean", (bool,)),
    Scalar("text", "text", (str,)),
    Scalar("varchar", "character varying", (str,)),
    Scalar("bpchar", "character", (str,)),
    Scalar("name", "name", (str,)),
    Scalar("bytea", "bytea", (bytes,)),
    Scalar("uuid", "uuid", (UUID,)),
    Scalar("date", "date", (date,)),
    Scalar("time", "time without time zone", (time,), has_time_zone=False),
    Scalar("timetz", "time with time zone", (time,), has_time_zone=True),
    Scalar("timestamp", "timestamp without time zone", (datetime,), has_time_zone=False),
    Scalar("timestamptz", "timestamp with time zone", (datetime,), has_time_zone=True),
    Scalar("interval", "interval", (timedelta,)),
    Scalar("xid", "xid", (int,), is_strict=False),
    Scalar("char", '"char"', (bytes,), is_strict=False),
    Scalar(
        "inet",
        "inet",
        (ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Interface, ipaddress.IPv6Interface),
        is_strict=False,
    ),
    Scalar("cidr", "cidr", (ipaddress.IPv4Network, ipaddress.IPv6Network), is_strict=False),
    Scalar("bit", "bit", (asyncpg.BitString,), is_strict=False),
    Scalar("varbit", "bit varying", (asyncpg.BitString,), is_strict=False),
    Scalar("point", "point", (asyncpg.Point,), is_strict=False),
    Scalar("box", "box", (asyncpg.Box,), is_strict=False),
    Scalar("circle", "circle", (asyncpg.Circle,), is_strict=False),
    Scalar("line", "line", (asyncpg.Line,), is_strict=False),
    Scalar("lseg", "lseg", (asyncpg.LineSegment,), is_strict=False),
    Scalar("path", "path", (asyncpg.Path,), is_strict=False),
    Scalar("polygon", "polygon", (asyncpg.Polygon,), is_strict=False),
    Scalar("void", "void", (type(None),), is_strict=False),
)
SCALARS_BY_SQL_NAME = {scalar.sql_name: scalar for scalar in _SCALARS}
"""All scalar types by the names that casts use. Every other one is read as a str."""
STRICT_SCALARS = {scalar.name: scalar for scalar in _SCALARS if scalar.is_strict}
"""The scalar types, by the driver's names, whose arguments and columns are checked when a statement is prepared."""
STRICT_TYPES = frozenset(kind for scalar in STRICT_SCALARS.values() for kind in scalar.reads)
"""The Python types of those."""

_RANGES = {
    "int4range": "int4", "int8range": "int8", "numrange": "numeric", "daterange": "date", "tsrange": "timestamp",
    "tstzrange": "timestamptz",
}  # fmt: skip
_MULTIRANGES = {
    "int4multirange": "int4range", "int8multirange": "int8range", "nummultirange": "numrange",
    "datemultirange": "daterange", "tsmultirange": "tsrange", "tstzmultirange": "tstzrange",
}  # fmt: skip


class TypeInfo(NamedTuple):
    """A type and what it is made of."""

    name: str
    """`timestamptz`, `int4[]`, `line_item`."""
    kind: Literal["scalar", "array", "composite", "range", "multirange"] = "scalar"
    of: "TypeInfo | None" = None
    """The elements of an array, the bounds of a range or multirange."""
    attributes: tuple[tuple[str, "TypeInfo"], ...] = ()
    """The names and types of a composite."""


def type_info_of(pg_type: asyncpg.Type, known: Mapping[int, TypeInfo]) -> TypeInfo:
    """Return what a type is made of. `known` has the user-defined arrays, composites and ranges by number (OID)."""
    return known.get(pg_type.oid) or _builtin(pg_type.name)


def _builtin(name: str) -> TypeInfo:
    if name.endswith("[]"):
        return TypeInfo(name, "array", _builtin(name.removesuffix("[]")))
    if name in _RANGES:
        return TypeInfo(name, "range", TypeInfo(_RANGES[name]))
    if name in _MULTIRANGES:
        return TypeInfo(name, "multirange", TypeInfo(_RANGES[_MULTIRANGES[name]]))
    return TypeInfo(name)
