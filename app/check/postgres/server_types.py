"""The types of a database, by the names that casts use."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import asyncpg

if TYPE_CHECKING:
    ServerConnection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes are generic to the type checker only
    ServerConnection = asyncpg.Connection


@dataclass(frozen=True, slots=True)
class ServerType:
    """A type by the name that a cast uses, such as `bigint`, `text[]` or `mood`."""

    name: str
    kind: Literal["base", "array", "enum", "domain", "composite", "range", "multirange", "pseudo"] = "base"
    base: "ServerType | None" = None
    """The elements of an array, what a domain restricts, the bounds of a range."""
    labels: tuple[str, ...] = ()
    """The values of an enum."""
    fields: tuple[tuple[str, "ServerType"], ...] = ()
    """The names and types of a composite."""


JSON = frozenset({"json", "jsonb"})
"""The types that a codec reads as any Python value."""

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


async def load_types(connection: ServerConnection) -> Callable[[int], ServerType]:
    """Return a function from the number (OID) of a type in this database to the type."""
    rows = {row["oid"]: row for row in await connection.fetch(_TYPES)}

    def build(oid: int) -> ServerType:
        row = rows[oid]
        return ServerType(
            row["name"],
            row["kind"],
            build(row["base"]) if row["base"] else None,
            tuple(row["labels"]),
            tuple(zip(row["field_names"], map(build, row["field_types"]), strict=True)),
        )

    return build


def without_domain(type_: ServerType) -> ServerType:
    """Return the type that a domain restricts, or the type itself."""
    while type_.kind == "domain" and type_.base:
        type_ = type_.base
    return type_


def is_array(type_: ServerType) -> bool:
    """Return whether it is an array or a domain over one."""
    return without_domain(type_).kind == "array"


def is_json(type_: ServerType) -> bool:
    """Return whether it is json or jsonb, or a domain over one: then JSON's null is None, too."""
    return without_domain(type_).name in JSON


def parts_of(type_: ServerType) -> Iterator[ServerType]:
    """Return the type and all its parts: elements, bounds, attributes, what a domain restricts."""
    yield type_
    for part in (type_.base, *(field_type for _, field_type in type_.fields)):
        if part is not None:
            yield from parts_of(part)
