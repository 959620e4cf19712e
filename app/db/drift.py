"""A column that changed its type while the program runs is an error, never a value of another kind."""

from collections.abc import Iterable, MutableMapping
from typing import Protocol

from app.db.codecs import DriverConnection
from app.db.queries import Query

# These are one Python type each, and a migration from one to another is no change to who reads them.
_SAME = {
    **dict.fromkeys(("int2", "int4", "int8"), "int"),
    **dict.fromkeys(("text", "varchar"), "text"),
    **dict.fromkeys(("json", "jsonb"), "json"),
}


# Under its bare name; that of an array is not the driver's.
_IS_ON_PATH = "select pg_catalog.pg_type_is_visible($1)"


class Type(Protocol):
    """A PostgreSQL type, as the driver describes it."""

    @property
    def oid(self) -> int: ...  # noqa: D102 - its number

    @property
    def name(self) -> str: ...  # noqa: D102 - `timestamptz`; it says itself

    @property
    def schema(self) -> str: ...  # noqa: D102 - the driver describes it

    @property
    def kind(self) -> str: ...  # noqa: D102 - `scalar`, `array`, `composite` or `range`


class Column(Protocol):
    """A column of a result, as the driver describes it."""

    @property
    def name(self) -> str: ...  # noqa: D102 - the driver describes it

    @property
    def type(self) -> Type: ...  # noqa: D102 - the driver describes it


async def refuse_changed_types(
    connection: DriverConnection,
    known: MutableMapping[Query, dict[str, Type]],
    query: Query,
    columns: Iterable[Column],
) -> None:
    """BindingError where a column has another type than when any connection of this pool first saw the statement.

    A type of the same name that the search path leads to is the same: each tenant may have a schema with its own.
    """
    types = {column.name: column.type for column in columns}
    before = known.setdefault(query, types)
    changed = [
        (name, before[name], now) for name, now in types.items() if name in before and not _same(before[name], now)
    ]
    changes = [
        f"column {name!r} was {_type_name(old)} and is {_type_name(now)} since a migration"
        for name, old, now in changed
        if not (_alike(old, now) and await connection.fetchval(_IS_ON_PATH, now.oid))
    ]
    if changes:
        raise query.fault(f"{'; '.join(changes)}; the row type was written for the old one: deploy the new one")


def _same(one: Type, other: Type) -> bool:
    first, second = _type_name(one), _type_name(other)
    return _SAME.get(first, first) == _SAME.get(second, second)


def _alike(one: Type, other: Type) -> bool:
    return (one.name, one.kind) == (other.name, other.kind) and "pg_catalog" not in {one.schema, other.schema}


def _type_name(kind: Type) -> str:
    return kind.name if kind.schema == "pg_catalog" else f"{kind.schema}.{kind.name}"
