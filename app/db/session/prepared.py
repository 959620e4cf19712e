"""A named statement that is prepared on one connection: how it is sent, how its rows are built, when it is refused."""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from time import monotonic
from typing import Any

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from app.db.binding.conversions import conversions, converted
from app.db.binding.pg_types import TypeInfo, type_info_of
from app.db.binding.query import Query
from app.db.counting.figures import DURATION_BUCKETS, StatementFigures
from app.db.counting.work import WORK
from app.db.session.driver import DriverConnection

# Each group is one Python type, so that a migration from one to another changes nothing for the reader.
_SAME = {
    **dict.fromkeys(("int2", "int4", "int8"), "int"),
    **dict.fromkeys(("text", "varchar"), "text"),
    **dict.fromkeys(("json", "jsonb"), "json"),
}
OnSlow = Callable[[StatementFigures, float], None]
# Whether the type is found under its bare name.
_IS_ON_PATH = "select pg_catalog.pg_type_is_visible($1)"


class Prepared:
    """A statement prepared on one connection. Raises BindingError when it does not match the signature."""

    __slots__ = (
        "_bind_execute",
        "_build",
        "_checks",
        "_conversions",
        "_figures",
        "_is_checked",
        "_query",
        "_state",
        "depends_on_path",
        "has_columns",
        "statement",
        "types",
    )

    def __init__(
        self,
        statement: "PreparedStatement[asyncpg.Record]",
        query: Query,
        protocol: Any,
        known: Mapping[int, TypeInfo],
        figures: StatementFigures,
    ) -> None:
        columns = statement.get_attributes()
        self._query = query
        self._figures = figures
        # The types of the parameters. asyncpg does not know them after it was told to forget types.
        self.types = statement.get_parameters()
        infos = [type_info_of(pg_type, known) for pg_type in self.types]
        self._checks = query.checks(infos)
        self._conversions = conversions(query.annotations, infos)
        self._is_checked = bool(self._checks or self._conversions)
        self._build = query.list_builder(columns, known)
        self.has_columns = bool(columns)
        types = [*self.types, *(column.type for column in columns)]
        # Another search path may mean other types by the same names.
        self.depends_on_path = any(each.schema != "pg_catalog" for each in types)
        # asyncpg closes a statement on the server when this object is collected.
        self.statement = statement
        # The public fetch() reaches this through three more coroutines, a fifth of the time of a row. The pinned
        # version range and tests/db/test_prepared.py guard these private names.
        self._state: Any = statement._state  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportAttributeAccessIssue] - its public fetch() costs more
        self._bind_execute = protocol.bind_execute

    def execute(
        self, arguments: tuple[object, ...], timeout: float | None
    ) -> "Awaitable[tuple[list[asyncpg.Record], bytes, bool]]":
        """Send it. Returns the records, the command tag, and whether those are all. Raises BadArgument."""
        if self._is_checked:
            arguments = self.accepted(arguments)
        return self._bind_execute(self._state, arguments, "", 0, True, timeout)

    def cursor(self, arguments: tuple[object, ...]) -> Any:
        """Return asyncpg's cursor factory for a stream. Raises BadArgument when an argument is refused."""
        return self.statement.cursor(*self.accepted(arguments))

    def accepted(self, arguments: tuple[object, ...]) -> tuple[object, ...]:
        """Return the arguments as the driver takes them. Raises BadArgument."""
        if self._conversions:
            arguments = converted(arguments, self._conversions)
        self._query.refuse(arguments, self._checks)
        return arguments

    def rows(self, records: Sequence[asyncpg.Record], tag: bytes = b"") -> list[Any]:
        """Return the rows; for a statement without columns a list of the number of rows it touched."""
        return self._build(records) if self.has_columns else [rows_touched(tag.decode())]

    def finish(
        self, records: Sequence[asyncpg.Record], tag: bytes, began: float, on_slow: OnSlow, transaction: Any
    ) -> list[Any]:
        """Return the rows of a run that began at this moment of time.monotonic(), and count it."""
        ended, figures = monotonic(), self._figures
        # First, since a row that cannot be built is a failure, and that is counted elsewhere.
        rows = self.rows(records, tag)
        figures.rows += len(rows) if self.has_columns else rows[0]
        seconds = ended - began
        figures.seconds += seconds
        figures.buckets[bisect_left(DURATION_BUCKETS, seconds)] += 1
        if (work := WORK.get()) is not None:
            work.ran(figures, began, ended, None, transaction)
        if seconds > figures.slow_after:
            on_slow(figures, seconds)
        return rows


def rows_touched(tag: str) -> int:
    """Return the count at the end of a command tag: 3 for `UPDATE 3`, 0 for `CREATE TABLE`."""
    count = tag.rpartition(" ")[2]
    return int(count) if count.isdecimal() else 0


async def refuse_changed_types(
    connection: DriverConnection,
    known: MutableMapping[Query, dict[str, asyncpg.Type]],
    query: Query,
    columns: Iterable[asyncpg.Attribute],
) -> None:
    """Raise BindingError when a column has another type than when this pool first prepared the statement.

    A type of the same name that is found on the search path counts as the same: each tenant's schema may have its own.
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


def _same(one: asyncpg.Type, other: asyncpg.Type) -> bool:
    first, second = _type_name(one), _type_name(other)
    return _SAME.get(first, first) == _SAME.get(second, second)


def _alike(one: asyncpg.Type, other: asyncpg.Type) -> bool:
    return (one.name, one.kind) == (other.name, other.kind) and "pg_catalog" not in {one.schema, other.schema}


def _type_name(kind: asyncpg.Type) -> str:
    return kind.name if kind.schema == "pg_catalog" else f"{kind.schema}.{kind.name}"
