"""PostgreSQL's types, and what asyncpg makes of them."""

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import asyncpg

from app.check.naming import class_name

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes are generic to the type checker only
    Connection = asyncpg.Connection


@dataclass(frozen=True, slots=True)
class PgType:
    """A type by the name that a cast calls it, such as `bigint`, `text[]` or `mood`."""

    name: str
    kind: Literal["base", "array", "enum", "domain", "composite", "range", "multirange", "pseudo"] = "base"
    base: "PgType | None" = None
    """The elements of an array, what a domain restricts, the bounds of a range."""
    labels: tuple[str, ...] = ()
    """The values of an enum."""
    fields: tuple[tuple[str, "PgType"], ...] = ()
    """The names and types of a composite."""


SCALARS: dict[str, tuple[Any, ...]] = {
    "smallint": (int,),
    "integer": (int,),
    "bigint": (int,),
    "oid": (int,),
    "xid": (int,),
    "numeric": (Decimal,),
    "real": (float,),
    "double precision": (float,),
    "boolean": (bool,),
    "bytea": (bytes,),
    '"char"': (bytes,),
    "uuid": (UUID,),
    "date": (date,),
    "time without time zone": (time,),
    "time with time zone": (time,),
    "timestamp without time zone": (datetime,),
    "timestamp with time zone": (datetime,),
    "interval": (timedelta,),
    "inet": (ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Interface, ipaddress.IPv6Interface),
    "cidr": (ipaddress.IPv4Network, ipaddress.IPv6Network),
    "bit": (asyncpg.BitString,),
    "bit varying": (asyncpg.BitString,),
    "point": (asyncpg.Point,),
    "box": (asyncpg.Box,),
    "circle": (asyncpg.Circle,),
    "line": (asyncpg.Line,),
    "lseg": (asyncpg.LineSegment,),
    "path": (asyncpg.Path,),
    "polygon": (asyncpg.Polygon,),
    "void": (type(None),),
}
"""What asyncpg makes of a scalar; every other one, such as text, is a str."""

ALSO_READS: dict[str, tuple[Any, ...]] = {"smallint": (float,), "integer": (float,), "bigint": (float,)}
"""What else it may be called when it is read: to a type checker an int is a float."""

ALSO_WRITES: dict[str, tuple[Any, ...]] = {"numeric": (int,), "real": (int,), "double precision": (int,)}
"""What else asyncpg stores in it without a loss."""

WRITTEN_NAMES = frozenset(
    ("Decimal", "UUID", "Any", "Executor", "StrEnum", "Iterable", "AsyncIterable", "AsyncIterator")
)
"""The names that the source of a bound function may have to import, beside those that no class is called."""

JSON = frozenset({"json", "jsonb"})
"""The types that a codec makes any Python value of."""

_TYPES = """
select
    t.oid,
    format_type(t.oid, null) as name,
    case
        when t.typsubscript = 'array_subscript_handler'::regproc then 'array'
        else (array['enum', 'domain', 'composite', 'range', 'multirange', 'pseudo', 'base'])[
            strpos('edcrmpb', t.typtype::text)]
    end as kind,
    case
        when t.typsubscript = 'array_subscript_handler'::regproc then t.typelem
        when t.typtype = 'd' then t.typbasetype
        else (select r.rngsubtype from pg_range r where t.oid in (r.rngtypid, r.rngmultitypid))
    end as base,
    array(select e.enumlabel::text from pg_enum e where e.enumtypid = t.oid order by e.enumsortorder) as labels,
    array(
        select a.attname::text from pg_attribute a
        where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum
    ) as field_names,
    array(
        select a.atttypid from pg_attribute a
        where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped order by a.attnum
    ) as field_types
from pg_type t
"""


async def load_types(connection: Connection) -> Callable[[int], PgType]:
    """A function from the number (OID) that this database gives a type to the type."""
    rows = {row["oid"]: row for row in await connection.fetch(_TYPES)}

    def build(oid: int) -> PgType:
        row = rows[oid]
        return PgType(
            row["name"],
            row["kind"],
            build(row["base"]) if row["base"] else None,
            tuple(row["labels"]),
            tuple(zip(row["field_names"], map(build, row["field_types"]), strict=True)),
        )

    return build


def without_domain(type_: PgType) -> PgType:
    """What a domain restricts, or the type itself."""
    while type_.kind == "domain" and type_.base:
        type_ = type_.base
    return type_


def is_array(type_: PgType) -> bool:
    """Whether it is an array, be it by a domain."""
    return without_domain(type_).kind == "array"


def is_json(type_: PgType) -> bool:
    """Whether it is json or jsonb, be it by a domain: its own null is None to Python, as SQL's null is."""
    return without_domain(type_).name in JSON


def python_type(type_: PgType) -> str:
    """The annotation that fits the type best, as it is written in Python."""
    write = _WRITTEN.get(type_.kind)
    return write(type_) if write else _scalar_text(type_.name)


def parts_of(type_: PgType) -> Iterator[PgType]:
    """The type and what it is made of: elements, bounds, attributes, what a domain restricts."""
    yield type_
    for part in (type_.base, *(field_type for _, field_type in type_.fields)):
        if part is not None:
            yield from parts_of(part)


def enum_class_name(type_: PgType) -> str:
    """What the StrEnum of an enum is called."""
    name = class_name(type_.name)
    return f"{name}Enum" if name in WRITTEN_NAMES else name


def _list_text(type_: PgType) -> str:
    return f"list[{_base_text(type_)}]"


def _base_text(type_: PgType) -> str:
    return python_type(type_.base) if type_.base else "Any"


def _tuple_text(type_: PgType) -> str:
    return f"tuple[{', '.join(f'{python_type(field)} | None' for _, field in type_.fields) or '()'}]"


def _range_text(type_: PgType) -> str:
    bounds = f"asyncpg.Range[{_base_text(type_)}]"
    return bounds if type_.kind == "range" else f"list[{bounds}]"


_WRITTEN: dict[str, Callable[[PgType], str]] = {
    "domain": _base_text,
    "array": _list_text,
    "enum": enum_class_name,
    "range": _range_text,
    "multirange": _range_text,
    "composite": _tuple_text,
}


def _scalar_text(name: str) -> str:
    if name in JSON:
        return "Any"
    if name == "record":
        return "asyncpg.Record"
    types = SCALARS.get(name, (str,))
    return " | ".join("None" if type_ is type(None) else _dotted(type_) for type_ in types)


def _dotted(type_: type) -> str:
    module = type_.__module__.partition(".")[0]
    return f"{module}.{type_.__name__}" if module in {"asyncpg", "ipaddress"} else type_.__name__
