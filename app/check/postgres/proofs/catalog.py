"""Load what the database says of the relations, functions and operators that a statement's tree mentions."""

from dataclasses import dataclass, field

import asyncpg

from app.check.postgres.proofs.functions import Functions, load_functions
from app.check.postgres.proofs.tree import Node, parse_tree, single_query, walk

# A NOT NULL holds where rows are stored and checked: not for views and foreign tables, not while it is NOT VALID, and
# for a parent only when every child has it too. A virtual column is computed when it is read, never checked by that.
# A domain's own NOT NULL is left out: an empty scalar subquery stores null into such a column unchecked.
_NOT_NULL = """
with recursive family (root, relid) as (
    select relid, relid from unnest($1::oid[]) as relid
    union select root, inhrelid from family join pg_inherits on inhparent = relid
)
select column_.attrelid::int8, column_.attnum::int8 from pg_attribute as column_
where column_.attrelid = any ($1::oid[]) and column_.attnum > 0 and not column_.attisdropped and not exists (
    select from family
    join pg_class on pg_class.oid = family.relid
    left join pg_attribute as a on a.attrelid = family.relid and a.attname = column_.attname and not a.attisdropped
    where family.root = column_.attrelid and (
        relkind not in ('r', 'p') or a.attnotnull is not true or a.attgenerated not in ('', 's')
        or exists (select from pg_constraint
                   where conrelid = family.relid and contype = 'n' and not convalidated and a.attnum = any (conkey))
    )
)
"""
_VIEWS = """
select ev_class::int8, ev_action::text from pg_rewrite join pg_class on pg_class.oid = ev_class
where relkind = 'v' and ev_type = '1' and is_instead and ev_class = any ($1::oid[])
"""
# A rule for writing can put its own RETURNING in place of the statement's.
_RULED = "select ev_class::int8 from pg_rewrite where ev_type <> '1' and ev_class = any ($1::oid[])"
_OPERATORS = "select oid::int8, oprcode::oid::int8 from pg_operator where oid = any ($1::oid[])"
_STRICT = "select oid::int8 from pg_proc where proisstrict and not proretset and oid = any ($1::oid[])"
_ARRAYS = "select oid::int8 from pg_type where typcategory = 'A'"
# The conversions that set operations apply on their own, without a trace in the tree.
_CASTS = """
select castsource::int8, casttarget::int8 from pg_cast
where castcontext = 'i' and (castmethod = 'b' or castfunc between 1 and 16383)
"""


@dataclass(slots=True)
class Catalog:
    """Facts about what some trees mention; what is not in here is not known."""

    functions: Functions
    not_null: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    """Relation and column number."""
    views: dict[int, Node] = field(default_factory=dict[int, Node])
    """The QUERY of each view."""
    ruled: set[int] = field(default_factory=set[int])
    """Relations with a rule for writing."""
    operators: dict[int, int] = field(default_factory=dict[int, int])
    """The function of each operator."""
    strict: set[int] = field(default_factory=set[int])
    """Functions that are null for null and return a single value."""
    casts: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    """Source and target type of the built-in implicit conversions."""
    arrays: set[int] = field(default_factory=set[int])
    """The types of arrays."""
    given: frozenset[int] = frozenset()
    """The numbers of the parameters that are never null."""


async def load_catalog(connection: asyncpg.Connection, tree: Node, given: frozenset[int] = frozenset()) -> Catalog:
    """What there is to know about this tree, and about those of the views that it reads.

    `given` are the numbers of the parameters that never get null.
    """
    catalog = Catalog(await load_functions(connection), given=given)
    catalog.casts = {(row[0], row[1]) for row in await connection.fetch(_CASTS)}
    catalog.arrays = {row[0] for row in await connection.fetch(_ARRAYS)}
    trees, seen = [tree], set[int]()
    while trees:
        relations = _numbers_of("relid", trees) - seen
        seen |= relations
        await _load_operators(connection, catalog, trees)
        views = {row[0]: single_query(parse_tree(row[1])) for row in await _fetch(connection, _VIEWS, relations)}
        catalog.views |= views
        trees = list(views.values())
    catalog.not_null = {(row[0], row[1]) for row in await _fetch(connection, _NOT_NULL, seen)}
    catalog.ruled = {row[0] for row in await _fetch(connection, _RULED, seen)}
    return catalog


async def _load_operators(connection: asyncpg.Connection, catalog: Catalog, trees: list[Node]) -> None:
    operators = {row[0]: row[1] for row in await _fetch(connection, _OPERATORS, _numbers_of("opno", trees))}
    catalog.operators |= operators
    functions = _numbers_of("funcid", trees) | set(operators.values())
    catalog.strict |= {row[0] for row in await _fetch(connection, _STRICT, functions)}


async def _fetch(connection: asyncpg.Connection, query: str, oids: set[int]) -> list[asyncpg.Record]:
    return await connection.fetch(query, list(oids)) if oids else []


def _numbers_of(field_name: str, trees: list[Node]) -> set[int]:
    return {node.number(field_name) for tree in trees for node in walk(tree) if field_name in node.fields} - {0}
