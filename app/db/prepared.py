"""A named statement as it stands prepared on one connection: how it is sent, and what its answer becomes."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asyncpg.prepared_stmt import PreparedStatement

from app.db.conversions import conversions, converted
from app.db.search_path import depends_on_path
from app.db.shapes import shape_of

if TYPE_CHECKING:
    from asyncpg import Record

    from app.db.queries import Query
    from app.db.shapes import Shape


class Prepared:
    """A statement prepared on one connection, its parameters and columns verified against the signature.

    BindingError where they do not fit.
    """

    __slots__ = (
        "_bind_execute",
        "_build",
        "_conversions",
        "_guards",
        "_is_checked",
        "_query",
        "_state",
        "depends_on_path",
        "has_columns",
        "statement",
        "types",
    )

    def __init__(
        self, statement: "PreparedStatement[Record]", query: "Query", protocol: Any, known: "Mapping[int, Shape]"
    ) -> None:
        columns = statement.get_attributes()
        self._query = query
        # Of the parameters. asyncpg does not know them any more once it was told to forget types.
        self.types = statement.get_parameters()
        shapes = [shape_of(pg_type, known) for pg_type in self.types]
        self._guards = query.guards(shapes)
        self._conversions = conversions(query.annotations, shapes)
        self._is_checked = bool(self._guards or self._conversions)
        self._build = query.list_builder(columns, known)
        self.has_columns = bool(columns)
        self.depends_on_path = depends_on_path([*self.types, *(column.type for column in columns)])
        # asyncpg closes a statement on the server when this object goes.
        self.statement = statement
        # Its fetch() comes here through three more coroutines, which cost a fifth of the time that a row takes. The
        # pinned version range and tests/db/test_prepared.py keep these private names true.
        self._state: Any = statement._state  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType, reportAttributeAccessIssue] - its public fetch() costs more
        self._bind_execute = protocol.bind_execute

    def execute(
        self, arguments: tuple[object, ...], timeout: float | None
    ) -> "Awaitable[tuple[list[Record], bytes, bool]]":
        """Send it: the records, the command tag, and whether those are all; BadArgument for a value it cannot take."""
        if self._is_checked:
            arguments = self._checked(arguments)
        return self._bind_execute(self._state, arguments, "", 0, True, timeout)

    def cursor(self, arguments: tuple[object, ...]) -> Any:
        """asyncpg's cursor factory for a stream; BadArgument for a value that the statement cannot take."""
        return self.statement.cursor(*self._checked(arguments))

    def _checked(self, arguments: tuple[object, ...]) -> tuple[object, ...]:
        if self._conversions:
            arguments = converted(arguments, self._conversions)
        self._query.refuse(arguments, self._guards)
        return arguments

    def rows(self, records: "Sequence[Record]", tag: bytes = b"") -> list[Any]:
        """The records as rows; without columns the number of rows that the statement touched."""
        return self._build(records) if self.has_columns else [rows_touched(tag.decode())]


def rows_touched(tag: str) -> int:
    """The count at the end of a command tag: 3 for `UPDATE 3`, 0 for `CREATE TABLE`."""
    count = tag.rpartition(" ")[2]
    return int(count) if count.isdecimal() else 0
