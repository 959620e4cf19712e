"""Statistics of the named statements, from the extension pg_stat_statements."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.db import Database
from app.monitor.names import statement_name

_SCHEMA = """
    select pg_catalog.quote_ident(nspname)
    from pg_extension join pg_namespace on pg_namespace.oid = extnamespace
    where extname = 'pg_stat_statements' and has_schema_privilege(nspname, 'usage')
"""
# The end of a text holds its name; thousands of whole texts would cost more than all the rest.
_FIGURES = """
    select right(query, 200) as text, calls, total_exec_time, rows, shared_blks_hit, shared_blks_read
    from {}.pg_stat_statements
    where dbid = (select oid from pg_database where datname = current_database()) and query like '%*/'
"""
# The library is not loaded, the role may not read the view, or the extension is too old to have these columns.
_UNREADABLE = {"55000", "42501", "42703", "42P01"}


@dataclass(frozen=True, slots=True)
class NamedFigures:
    """Calls of one named statement by all users, since the last reset. Blocks are those of shared buffers."""

    name: str
    calls: int
    total_ms: float
    rows: int
    blocks_hit: int
    blocks_read: int

    @property
    def mean_ms(self) -> float:
        """Milliseconds a call; 0 without calls."""
        return self.total_ms / self.calls if self.calls else 0.0


async def list_statement_figures(db: Database) -> list[NamedFigures] | None:
    """Return the figures of each named statement of the current database, the most total time first.

    None when the extension is not installed in this database or not readable. An ordinary role sees its own calls.
    """
    schema = await db.fetchval(_SCHEMA)
    if schema is None:
        return None
    try:
        entries = await db.fetch(_FIGURES.format(schema))
    except Exception as error:
        if getattr(error, "sqlstate", None) in _UNREADABLE:
            return None
        raise
    return sorted(_by_name(entries), key=lambda figures: figures.total_ms, reverse=True)


def _by_name(entries: Iterable[Any]) -> list[NamedFigures]:
    """Add up the entries of each name: the extension has one for each user and each plan of the text."""
    sums: dict[str, list[Any]] = {}
    for text, *figures in entries:
        name = statement_name(text)
        if name is not None:
            sums[name] = [a + b for a, b in zip(sums.get(name, [0] * len(figures)), figures, strict=True)]
    return [NamedFigures(name, *figures) for name, figures in sums.items()]
