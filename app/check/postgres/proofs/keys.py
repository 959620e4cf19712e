"""Load the unique keys of the relations that a statement mentions, and tell which conditions fix one."""

from dataclasses import dataclass

import asyncpg

from app.check.postgres.proofs.joins import conjuncts
from app.check.postgres.proofs.matching import mentioned, same_expression, without_relabelling
from app.check.postgres.proofs.tree import Node, Value, parse_tree, walk

# Not deferrable ones, which a transaction may violate until it ends; not those of a parent with inherited children,
# which have keys of their own. B-trees alone: an exclusion constraint over time is unique in another sense.
_UNIQUE = """
select indrelid::int8 as relation, indnkeyatts::int as width, indkey::int2[]::int[] as columns,
       (select array_agg(opcfamily::int8 order by place)
        from unnest(indclass::oid[]) with ordinality as c (opclass, place)
        join pg_opclass on pg_opclass.oid = opclass) as families,
       indcollation::oid[]::int8[] as collations, indexprs::text as expressions, indpred::text as predicate
from pg_index
join pg_class as relation on relation.oid = indrelid
join pg_class as index on index.oid = indexrelid
where indrelid = any ($1::oid[]) and indisunique and indisvalid and indimmediate and index.relam = 403
  and (relation.relkind = 'p' or not exists (select from pg_inherits where inhparent = indrelid))
"""
_EQUALITY = """
select amopfamily::int8, amopopr::int8 from pg_amop
where amopmethod = 403 and amopstrategy = 3 and amopopr = any ($1::oid[])
"""
_VOLATILE = """
select pg_proc.oid::int8, pg_operator.oid::int8 from pg_proc
left join pg_operator on oprcode = pg_proc.oid and pg_operator.oid = any ($2::oid[])
where provolatile = 'v' and (pg_proc.oid = any ($1::oid[]) or pg_operator.oid is not null)
"""
_LOOSE_COLLATIONS = "select oid::int8 from pg_collation where not collisdeterministic"
_RULED = """
with recursive part (relation, at) as (
    select oid, oid from unnest($1::oid[]) as asked (oid)
    union
    select part.relation, d.refobjid from part
    join pg_rewrite r on r.ev_class = part.at and r.ev_type = '1'
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid
        and d.refclassid = 'pg_class'::regclass and d.refobjid <> r.ev_class
)
select distinct part.relation from part join pg_rewrite on ev_class = part.at and ev_type <> '1'
"""

_CALLS = ("funcid", "aggfnoid", "winfnoid")


@dataclass(frozen=True, slots=True)
class KeyPart:
    """One column or expression of a unique key."""

    column: int
    """0 for an expression."""
    expression: Node | None
    family: int
    collation: int


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A unique index: for each value of its parts there is one row, among those that its predicate admits."""

    parts: tuple[KeyPart, ...]
    predicate: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Keys:
    """Facts about what a tree mentions."""

    unique: dict[int, list[UniqueKey]]
    equality: frozenset[tuple[int, int]]
    """Operator families and their `=`."""
    volatile: frozenset[int]
    """Functions and operators that may differ from row to row."""
    loose_collations: frozenset[int]
    """Those that call different texts equal."""
    ruled: frozenset[int]
    """Relations with a rule for writing, and views of them."""

    def choose_one(self, relation: int, index: int, conditions: list[Node], single: frozenset[int]) -> bool:
        """Whether conditions fix a unique key of a relation, given which others in the range table are one row."""
        return any(
            all(any(self._fixes(condition, part, index, single) for condition in conditions) for part in key.parts)
            and all(any(same_expression(condition, each, index) for condition in conditions) for each in key.predicate)
            for key in self.unique.get(relation, [])
        )

    def is_steady(self, value: Value) -> bool:
        """Return whether evaluating this again, with the same columns, yields the same."""
        for node in walk(value):
            called = {node.number(name) for name in (*_CALLS, "opno") if name in node.fields}
            if called & self.volatile or node.tag == "NEXTVALUEEXPR":
                return False
            # A view can hide a volatile function.
            if node.tag == "RANGETBLENTRY" and (node.fields.get("relkind") == "v" or node.fields.get("tablesample")):
                return False
        return True

    def _fixes(self, condition: Node, part: KeyPart, index: int, single: frozenset[int]) -> bool:
        """Return whether a condition says that part of a key equals something that is the same in all rows."""
        if condition.tag != "OPEXPR" or (part.family, condition.number("opno")) not in self.equality:
            return False
        collation = condition.number("inputcollid")
        if collation in self.loose_collations and collation != part.collation:
            return False
        left, right = map(without_relabelling, condition.children("args"))
        return any(
            _is_part(this, part, index) and self.is_steady(other) and single.issuperset(mentioned(other))
            for this, other in ((left, right), (right, left))
        )


async def load_keys(connection: asyncpg.Connection, tree: Node) -> Keys:
    """What there is to know about the relations, functions and operators in this tree."""
    nodes = list(walk(tree))
    relations, operators = _numbers(nodes, "relid"), _numbers(nodes, "opno")
    functions = [oid for name in _CALLS for oid in _numbers(nodes, name)]
    unique: dict[int, list[UniqueKey]] = {}
    for row in await connection.fetch(_UNIQUE, relations):
        unique.setdefault(row["relation"], []).append(_unique_key(row))
    volatile = await connection.fetch(_VOLATILE, functions, operators)
    return Keys(
        unique=unique,
        equality=frozenset((row[0], row[1]) for row in await connection.fetch(_EQUALITY, operators)),
        volatile=frozenset(oid for row in volatile for oid in row if oid),
        loose_collations=frozenset(row[0] for row in await connection.fetch(_LOOSE_COLLATIONS)),
        ruled=frozenset(row[0] for row in await connection.fetch(_RULED, relations)),
    )


def _unique_key(row: asyncpg.Record) -> UniqueKey:
    trees = parse_tree(row["expressions"]) if row["expressions"] else []
    expressions = iter([tree for tree in trees if isinstance(tree, Node)] if isinstance(trees, list) else [])
    parts = [
        KeyPart(column, None if column else next(expressions), family, collation)
        for column, family, collation in zip(
            row["columns"][: row["width"]], row["families"], row["collations"], strict=False
        )
    ]
    predicate = parse_tree(row["predicate"]) if row["predicate"] else None
    return UniqueKey(tuple(parts), tuple(conjuncts(predicate if isinstance(predicate, Node) else None)))


def _numbers(nodes: list[Node], name: str) -> list[int]:
    return list({node.number(name) for node in nodes if name in node.fields} - {0})


def _is_part(expression: Node, part: KeyPart, index: int) -> bool:
    if part.expression is not None:
        return same_expression(expression, without_relabelling(part.expression), index)
    return (
        expression.tag == "VAR"
        and (expression.number("varno"), expression.number("varattno")) == (index, part.column)
        and expression.number("varlevelsup") == 0
    )
