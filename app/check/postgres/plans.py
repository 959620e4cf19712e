"""Find which tables a statement reads from one end to the other, by PostgreSQL's own generic plan."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import asyncpg

from app.check.postgres.server_types import ServerConnection

SETTINGS = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_indexonlyscan")
"""What is switched off, so that an index is used if there is one, although the tables are empty."""

_PLANNED = frozenset(("select", "insert", "update", "delete", "merge", "values", "with", "table", ""))
_PASSES_LIMIT_ON = frozenset(("Limit", "Nested Loop", "Append", "Merge Append", "Result", "Subquery Scan", "LockRows"))


@dataclass(frozen=True, slots=True)
class FullScan:
    """A table of which every row may be read, and the condition that no index serves, "" if there is none."""

    table: str
    predicate: str
    index: str = ""
    """The index that is read from one end to the other, where it is not the table itself."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index. A condition narrows its scan if it concerns `leading`, its first column or expression."""

    leading: str
    is_btree: bool
    is_partial: bool


async def load_indexes(connection: ServerConnection) -> Mapping[str, Index]:
    """Return every index of the database, by name."""
    rows = await connection.fetch("""
        select c.relname, pg_get_indexdef(i.indexrelid, 1, false) as leading, m.amname = 'btree' as is_btree,
            i.indpred is not null as is_partial
        from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am m on m.oid = c.relam
        where c.relnamespace <> 'pg_catalog'::regnamespace
    """)
    return {row["relname"]: Index(row["leading"], row["is_btree"], row["is_partial"]) for row in rows}


class Unplannable(Exception):
    """PostgreSQL understands the statement but cannot make a generic plan. `error` says why."""

    def __init__(self, error: asyncpg.PostgresError) -> None:
        super().__init__(str(error))
        self.error = error


async def full_scans(
    connection: ServerConnection, indexes: Mapping[str, Index], text: str, keyword: str, types: Sequence[str]
) -> list[FullScan]:
    """Return the full scans that remain when PostgreSQL avoids them at any price.

    Nothing is executed. It works the same way on 15, which has no `explain (generic_plan)`. Raises Unplannable for a
    statement without a generic plan.
    """
    if keyword not in _PLANNED:
        return []
    plan = await _generic_plan(connection, text, types)
    if plan is None:
        return []
    if "Subplans Removed" in json.dumps(plan):
        # Null, which stands for the arguments, is in none of those partitions; a value is in one of them.
        plan = await _generic_plan(connection, text, types, more="set local enable_partition_pruning = off;") or plan
    return list(dict.fromkeys(_scans(plan, indexes, limited=False)))


async def conflict_arbiters(connection: ServerConnection, text: str, types: Sequence[str]) -> frozenset[str]:
    """Return the names of the unique indexes that PostgreSQL infers for `on conflict (…)`.

    Returns none if the statement has no plan, which full_scans() reports.
    """
    try:
        plan = await _generic_plan(connection, text, types)
    except Unplannable:
        return frozenset()
    return frozenset(_arbiters(plan or {}))


def _arbiters(node: Mapping[str, Any]) -> Iterator[str]:
    yield from node.get("Conflict Arbiter Indexes", ())
    for child in node.get("Plans", ()):
        yield from _arbiters(child)


async def _generic_plan(
    connection: ServerConnection, text: str, types: Sequence[str], more: str = ""
) -> dict[str, Any] | None:
    """None for a statement that SQL's own PREPARE does not take, such as `select … into`."""
    arguments = f"({', '.join(['null'] * len(types))})" if types else ""
    if not await _is_prepared(connection, text, types):
        return None
    transaction = connection.transaction()
    await transaction.start()
    try:
        switches = "".join(f"set local {setting} = off; " for setting in SETTINGS)
        await connection.execute(f"{switches} {more} set local plan_cache_mode = force_generic_plan")
        plan = await connection.fetchval(f"explain (format json, costs off) execute bindery_check{arguments}")
    except asyncpg.PostgresError as error:
        raise Unplannable(error) from error
    finally:
        await transaction.rollback()
        await connection.execute("deallocate bindery_check")
    loaded = json.loads(plan) if isinstance(plan, str) else plan
    found = loaded[0]["Plan"] if isinstance(loaded[0], dict) else None
    return cast("dict[str, Any] | None", found)


async def _is_prepared(connection: ServerConnection, text: str, types: Sequence[str]) -> bool:
    declared = f"({', '.join(types)})" if types else ""
    try:
        await connection.execute(f"prepare bindery_check{declared} as {text}")
    except asyncpg.PostgresError:
        # It is no fault of the statement, which was prepared by the protocol before.
        return False
    return True


def _scans(node: dict[str, Any], indexes: Mapping[str, Index], *, limited: bool) -> Iterator[FullScan]:
    kind, index = node["Node Type"], indexes.get(node.get("Index Name", ""))
    if kind in {"Seq Scan", "Sample Scan"}:
        yield FullScan(node["Relation Name"], node.get("Filter", ""))
    elif kind == "Bitmap Heap Scan" and not _narrows(_bitmap(node), indexes):
        yield FullScan(node["Relation Name"], node.get("Recheck Cond", ""))
    elif kind in {"Index Scan", "Index Only Scan"} and index and _reads_all_of(node, index, limited=limited):
        predicate = node.get("Filter") or node.get("Index Cond", "")
        yield FullScan(node["Relation Name"], predicate, node["Index Name"])
    # What stands above a sort or an aggregate does not end what is read below it.
    limited = kind == "Limit" or (limited and kind in _PASSES_LIMIT_ON)
    for child in node.get("Plans", ()):
        # A subplan is run to its end for each row, unless it has a limit of its own.
        yield from _scans(child, indexes, limited=limited and child["Parent Relationship"] in {"Outer", "Member"})


def _reads_all_of(node: dict[str, Any], index: Index, *, limited: bool) -> bool:
    condition = node.get("Index Cond")
    # What max() adds by itself.
    if condition is None or re.fullmatch(r"\([\w.]+ IS NOT NULL\)", condition):
        return not index.is_partial and (not limited or "Filter" in node)
    # A condition on a later column of a B-tree alone reads all of it, or hops through it from 18 on.
    return index.is_btree and not _mentions(condition, index.leading)


def _bitmap(node: dict[str, Any]) -> dict[str, Any]:
    """What a heap scan follows, among the subplans of its conditions."""
    return next(child for child in node["Plans"] if child["Node Type"].startswith("Bitmap"))


def _narrows(bitmap: dict[str, Any], indexes: Mapping[str, Index]) -> bool:
    """Return whether a bitmap leaves out rows without reading all of an index."""
    if bitmap["Node Type"] == "Bitmap Index Scan":
        index = indexes.get(bitmap["Index Name"])
        # Of the indexes of PostgreSQL's own catalogs nothing is asked.
        return index is None or not _reads_all_of(bitmap, index, limited=False)
    parts = [_narrows(part, indexes) for part in bitmap["Plans"] if part["Node Type"].startswith("Bitmap")]
    return all(parts) if bitmap["Node Type"] == "BitmapOr" else any(parts)


def _mentions(condition: str, expression: str) -> bool:
    # A plan of several tables qualifies names, an index definition does not.
    unqualified = re.sub(r"(?:\w+|\"[^\"]*\")\.(?=[\w\"])", "", condition)
    return re.search(rf"(?<!\w){re.escape(expression)}(?!\w)", unqualified) is not None
