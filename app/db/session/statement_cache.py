"""Prepared statements by search path: with a schema for each tenant, one text means other types in each of them."""

from collections import OrderedDict

from app.db.binding.query import Query
from app.db.session.prepared import Prepared

# How many search paths a connection keeps statements of; the least recently used one is dropped.
_PATHS = 32
CURRENT_PATH = "select pg_catalog.current_schemas(true)::text"


class StatementCache:
    """The named statements prepared on one connection.

    `usual` holds those of a new session's search path and those that mean the same on every path.
    """

    def __init__(self) -> None:
        self.usual: dict[Query, Prepared] = {}
        self._others: OrderedDict[str, dict[Query, Prepared]] = OrderedDict()

    def of(self, path: str) -> dict[Query, Prepared]:
        """Return the statements that were prepared under this search path."""
        statements = self._others.setdefault(path, {})
        self._others.move_to_end(path)
        if len(self._others) > _PATHS:
            self._others.popitem(last=False)
        return statements

    def forget(self, query: Query) -> None:
        """Drop one statement, on every search path."""
        for statements in (self.usual, *self._others.values()):
            statements.pop(query, None)

    def clear(self) -> None:
        """Drop all statements."""
        for statements in (self.usual, *self._others.values()):
            statements.clear()
