"""Statements whose types depend on the search path: with a schema for each tenant one text means other types."""

import re
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from app.db.prepared import Prepared
    from app.db.queries import Query

# How many search paths a connection keeps statements of; those of the one that was not used for longest go.
_PATHS = 32
CURRENT_PATH = "select pg_catalog.current_schemas(true)::text"
# "$user" in a search path is the role.
_CHANGES = re.compile(
    r"search_path|\bset\s+(?:local\s+|session\s+)?(?:schema|role|authorization)\b|\breset\s+(?:all|role|session)\b"
    r"|\bdiscard\b|\bset_config\s*\(\s*(?:E?'(?:role|session_authorization)'|(?!E?'[^']*'\s*,))",
    re.IGNORECASE,
)


def may_change_path(sql: str) -> bool:
    """Whether this text may set the search path, as far as it says; a function that it calls may do so unseen."""
    return _CHANGES.search(sql) is not None


def depends_on_path(types: Iterable[asyncpg.Type]) -> bool:
    """Whether another search path may mean other types by the same names."""
    return any(kind.schema != "pg_catalog" for kind in types)


class StatementsByPath:
    """The named statements of one connection; `usual` are those of a new session's path, and those for any path."""

    def __init__(self) -> None:
        self.usual: dict[Query, Prepared] = {}
        self._others: OrderedDict[str, dict[Query, Prepared]] = OrderedDict()

    def of(self, path: str) -> "dict[Query, Prepared]":
        """The statements that were prepared under this path."""
        statements = self._others.setdefault(path, {})
        self._others.move_to_end(path)
        if len(self._others) > _PATHS:
            self._others.popitem(last=False)
        return statements

    def forget(self, query: "Query") -> None:
        """Drop one statement, of every path."""
        for statements in (self.usual, *self._others.values()):
            statements.pop(query, None)

    def clear(self) -> None:
        """Drop them all."""
        for statements in (self.usual, *self._others.values()):
            statements.clear()
