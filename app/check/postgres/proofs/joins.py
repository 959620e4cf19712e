"""Find what FROM and WHERE do to a query's rows: which relations can be null-extended, which conditions hold."""

from collections.abc import Iterator
from typing import NamedTuple

from app.check.postgres.proofs.kinds import Join
from app.check.postgres.proofs.tree import Node, TreeError, walk


def join_kind(join: Node) -> Join:
    """The kind of a JOINEXPR."""
    try:
        return Join(join.number("jointype"))
    except ValueError:
        raise TreeError(f"unknown kind of join {join.text('jointype')}") from None


def sides(join: Node) -> tuple[Node, Node]:
    """The left and the right side of a JOINEXPR."""
    left, right = join.child("larg"), join.child("rarg")
    if left is None or right is None:
        raise TreeError("a join has two sides")
    return left, right


def relations(node: Node) -> frozenset[int]:
    """The range table indexes of what is joined beneath a node of a FROM clause."""
    if node.tag == "RANGETBLREF":
        return frozenset({node.number("rtindex")})
    if node.tag == "FROMEXPR":
        return frozenset[int]().union(*map(relations, node.children("fromlist")))
    return frozenset[int]().union(*map(relations, sides(node)))


def null_extended(node: Node) -> Iterator[frozenset[int]]:
    """For each side of an outer join that can be missing: the relations whose columns are all null then.

    Read off the joins themselves, which every version of PostgreSQL writes alike; only from 16 on does it also mark
    each column with the joins that can null it.
    """
    if node.tag == "FROMEXPR":
        for item in node.children("fromlist"):
            yield from null_extended(item)
    elif node.tag == "JOINEXPR":
        kind, (left, right) = join_kind(node), sides(node)
        if kind in (Join.LEFT, Join.FULL):
            yield relations(right)
        if kind in (Join.RIGHT, Join.FULL):
            yield relations(left)
        yield from null_extended(left)
        yield from null_extended(right)


def conditions(node: Node) -> Iterator[Node]:
    """What is true of every row that comes out of a FROM clause: WHERE, and ON where no outer join can undo it."""
    if node.tag == "FROMEXPR":
        yield from conjuncts(node.child("quals"))
        for item in node.children("fromlist"):
            yield from conditions(item)
    elif node.tag == "JOINEXPR":
        kind, (left, right) = join_kind(node), sides(node)
        if kind is Join.INNER:
            yield from conjuncts(node.child("quals"))
        if kind in (Join.INNER, Join.LEFT):
            yield from conditions(left)
        if kind in (Join.INNER, Join.RIGHT):
            yield from conditions(right)


def conjuncts(condition: Node | None) -> Iterator[Node]:
    """The parts of a condition that must all be true."""
    if condition is None:
        return
    if condition.tag == "BOOLEXPR" and condition.text("boolop") == "and":
        for argument in condition.children("args"):
            yield from conjuncts(argument)
    else:
        yield condition


class Step(NamedTuple):
    """Conditions that choose the rows of `members` for each row of `given`."""

    given: frozenset[int]
    members: frozenset[int]
    present: frozenset[int]
    """The members that are not missing in some of those rows."""
    conditions: list[Node]


def steps(node: Node) -> Iterator[Step]:
    """How a FROM clause without full joins gets its rows: all of it at once, then each side that can be missing."""
    members = relations(node)
    yield Step(frozenset(), members, members.difference(*null_extended(node)), list(conditions(node)))
    for join in joins(node):
        kind, (left, right) = join_kind(join), sides(join)
        if kind in (Join.LEFT, Join.RIGHT):
            kept, missing = (left, right) if kind is Join.LEFT else (right, left)
            members = relations(missing)
            chosen = [*conjuncts(join.child("quals")), *conditions(missing)]
            yield Step(relations(kept), members, members.difference(*null_extended(missing)), chosen)


def joins(node: Node) -> Iterator[Node]:
    """Every JOINEXPR of a FROM clause."""
    return (inner for inner in walk(node, into_queries=False) if inner.tag == "JOINEXPR")
