"""A column that changed its type while the program runs is an error, never a value of another kind."""

from collections.abc import Iterable, MutableMapping
from typing import Protocol

from app.db.queries import Query

# These are one Python type each, and a migration from one to another is no change to who reads them.
_SAME = {
    **dict.fromkeys(("int2", "int4", "int8"), "int"),
    **dict.fromkeys(("text", "varchar"), "text"),
    **dict.fromkeys(("json", "jsonb"), "json"),
}


class Type(Protocol):
    """A PostgreSQL type, as the driver describes it."""

    @property
    def name(self) -> str: ...  # noqa: D102 - `timestamptz`; it says itself

    @property
    def schema(self) -> str: ...  # noqa: D102 - the driver describes it


class Column(Protocol):
    """A column of a result, as the driver describes it."""

    @property
    def name(self) -> str: ...  # noqa: D102 - the driver describes it

    @property
    def type(self) -> Type: ...  # noqa: D102 - the driver describes it


def refuse_changed_types(known: MutableMapping[Query, dict[str, str]], query: Query, columns: Iterable[Column]) -> None:
    """BindingError where a column has another type than when any connection of this pool first saw the statement."""
    types = {column.name: _type_name(column.type) for column in columns}
    before = known.setdefault(query, types)
    changes = [
        f"column {name!r} was {before[name]} and is {now} since a migration"
        for name, now in types.items()
        if name in before and _SAME.get(before[name], before[name]) != _SAME.get(now, now)
    ]
    if changes:
        raise query.fault(f"{'; '.join(changes)}; the row type was written for the old one: deploy the new one")


def _type_name(kind: Type) -> str:
    return kind.name if kind.schema == "pg_catalog" else f"{kind.schema}.{kind.name}"
