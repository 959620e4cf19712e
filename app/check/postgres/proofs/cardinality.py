"""Prove of a statement that it never yields a second row, by PostgreSQL's own analysis of its text."""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from app.check.postgres.proofs.analysis import analysed_tree
from app.check.postgres.proofs.joins import Step, join_kind, joins, relations, steps
from app.check.postgres.proofs.keys import Keys, load_keys
from app.check.postgres.proofs.kinds import Command, Join, SetOperation, TableKind
from app.check.postgres.proofs.matching import mentioned
from app.check.postgres.proofs.tree import Node, TreeError

_LIMIT_COUNT = 0
_BIGINT_OF_INTEGER = 481


class AtMostOne(NamedTuple):
    """Whether a second row is impossible, and where that is not proved, why."""

    proved: bool
    reason: str


async def yields_at_most_one(connection: asyncpg.Connection, text: str, parameter_types: Sequence[str]) -> AtMostOne:
    """Return whether a statement with `$1` …, of these types as format_type() names them, yields one row or none.

    Raises what the server says about the text, FeatureNotSupportedError for a statement that is no query.
    """
    tree = await analysed_tree(connection, text, parameter_types)
    return prove_at_most_one(tree, await load_keys(connection, tree))


def prove_at_most_one(tree: Node, keys: Keys) -> AtMostOne:
    """yields_at_most_one() of a statement's tree, given the facts about what it mentions."""
    reason = _Query(tree, (), keys).several_rows()
    return AtMostOne(not reason, reason)


class _Query:
    """A QUERY node inside those that enclose it, the innermost of them first."""

    def __init__(self, node: Node, outer: tuple[Node, ...], keys: Keys) -> None:
        self._node = node
        self._outer = outer
        self._keys = keys
        self._tables = node.children("rtable")

    def several_rows(self) -> str:
        """Why there may be several rows; empty where there cannot be."""
        if _is_bounded(self._node):
            return ""
        if operation := self._node.child("setOperations"):
            return self._of_set_operation(operation)
        return _multiplied(self._node) or self._of_from()

    def _of_set_operation(self, operation: Node) -> str:
        left, right = (self._of_member(operation.child(side)) for side in ("larg", "rarg"))
        match operation.number("op"):
            case SetOperation.INTERSECT:
                return left and right
            case SetOperation.EXCEPT:
                return left
            case _:
                return "a union can yield a row of each side"

    def _of_member(self, member: Node | None) -> str:
        if member is None:
            raise TreeError("a set operation has two sides")
        if member.tag != "RANGETBLREF":
            return self._of_set_operation(member)
        return self._of_subquery(self._tables[member.number("rtindex") - 1].child("subquery"))

    def _of_subquery(self, query: Node | None) -> str:
        if query is None:
            raise TreeError("a subquery without a query")
        return _Query(query, (self._node, *self._outer), self._keys).several_rows()

    def _of_from(self) -> str:
        target = self._node.number("resultRelation")
        source = self._source()
        if any(join_kind(join) is Join.FULL for join in joins(source)):
            return "a full join yields the rows without a match of both sides"
        # A row is updated or deleted once, however many rows of the others it is joined with.
        writes_rows = target and self._node.number("commandType") != Command.INSERT
        wanted = frozenset({target}) if writes_rows else relations(source)
        if target and self._tables[target - 1].number("relid") in self._keys.ruled:
            return f"{_name(self._tables[target - 1])} has a rule, which can return rows of its own"
        several = sorted(wanted - self._single_rows(source))
        return _reason(self._tables[several[0] - 1]) if several else ""

    def _source(self) -> Node:
        source = self._node.child("jointree")
        if source is None:
            raise TreeError("a query without a FROM node")
        return source

    def _single_rows(self, source: Node) -> frozenset[int]:
        """The relations of which all rows of the result hold the same row."""
        single = frozenset[int]()
        while True:
            possible = [step for step in steps(source) if step.given <= single]
            found = {i for step in possible for i in step.members - single if self._is_single(i, step, single)}
            if not found:
                return single
            single |= found

    def _is_single(self, index: int, step: Step, single: frozenset[int]) -> bool:
        table = self._tables[index - 1]
        if table.number("rtekind") == TableKind.RELATION:
            return self._keys.choose_one(table.number("relid"), index, step.conditions, single)
        # What is computed again for each row of the others is not one row.
        steady = relations(self._source()) == frozenset({index}) or self._keys.is_steady(table)
        depends_on = frozenset(mentioned(list(table.fields.values())))
        return index in step.present and steady and depends_on <= single and self._yields_one(table)

    def _yields_one(self, table: Node) -> bool:
        match table.number("rtekind"):
            case TableKind.SUBQUERY:
                return not self._of_subquery(table.child("subquery"))
            case TableKind.FUNCTION:
                functions = [function.child("funcexpr") for function in table.children("functions")]
                return all(f is not None and f.tag == "FUNCEXPR" and not f.flag("funcretset") for f in functions)
            case TableKind.VALUES:
                return len(table.rows("values_lists")) == 1
            case TableKind.CTE:
                return self._cte_yields_one(table)
            case _:
                return False

    def _cte_yields_one(self, table: Node) -> bool:
        owner, *outer = (self._node, *self._outer)[table.number("ctelevelsup") :]
        for cte in owner.children("cteList"):
            query = cte.child("ctequery")
            if cte.text("ctename") == table.text("ctename") and query and not cte.flag("cterecursive"):
                return not _Query(query, (owner, *outer), self._keys).several_rows()
        return False


def _is_bounded(query: Node) -> bool:
    """Return whether a query yields at most one row for any content of its tables."""
    if query.number("commandType") != Command.SELECT and not query.has("returningList"):
        return True
    grouped = any(query.has(name) for name in ("groupClause", "groupingSets", "setOperations"))
    aggregates = query.flag("hasAggs") and not grouped and not query.flag("hasTargetSRFs")
    return aggregates or _is_limited(query)


def _is_limited(query: Node) -> bool:
    """Return whether there is a LIMIT of one row or none, written as a number."""
    limit = query.child("limitCount")
    if limit is not None and limit.tag == "FUNCEXPR" and limit.number("funcid") == _BIGINT_OF_INTEGER:
        limit = limit.children("args")[0]
    if (
        limit is None
        or limit.tag != "CONST"
        or query.number("limitOption") != _LIMIT_COUNT
        or limit.flag("constisnull")
    ):
        return False
    first, *others = limit.numbers("constvalue")
    return first in (0, 1) and not any(others)


def _multiplied(query: Node) -> str:
    """Why one row of FROM can become several; empty where it cannot."""
    if query.number("commandType") == Command.MERGE:
        return "MERGE can return several rows"
    if query.flag("hasTargetSRFs"):
        return "a function in the result can return several rows"
    return "grouping sets can yield several rows" if query.has("groupingSets") else ""


def _reason(table: Node) -> str:
    if table.number("rtekind") != TableKind.RELATION:
        return f"{_name(table)} can have several rows"
    return f"{_name(table)} can have several rows: no unique key of it is compared with one value by ="


def _name(table: Node) -> str:
    alias = table.child("eref")
    return alias.text("aliasname") if alias else "a relation"
