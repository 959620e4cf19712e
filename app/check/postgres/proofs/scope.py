"""Hold a query of a tree with what surrounds it: which columns its expressions mention, which can be nulled."""

from collections.abc import Iterator
from functools import cached_property

from app.check.postgres.proofs.catalog import Catalog
from app.check.postgres.proofs.conditions import non_null_columns
from app.check.postgres.proofs.joins import conditions, null_extended
from app.check.postgres.proofs.kinds import Command, Returned
from app.check.postgres.proofs.tree import Node, TreeError, walk

# Which of `column`, `old.column` and `new.column` are a row that is there. MERGE's own are left unknown but the first.
_RETURNED: dict[int, set[Returned]] = {
    Command.UPDATE: {Returned.DEFAULT, Returned.OLD, Returned.NEW},
    Command.INSERT: {Returned.DEFAULT, Returned.NEW},
    Command.DELETE: {Returned.DEFAULT, Returned.OLD},
    Command.MERGE: {Returned.DEFAULT},
}


# What makes the 0 in `coalesce(sum(…), 0)` a bigint, a numeric or a double precision.
_CONVERSIONS_OF_INTEGERS = (481, 1740, 316)


class Scope:
    """One QUERY node inside the queries that enclose it."""

    def __init__(self, query: Node, parent: "Scope | None", catalog: Catalog) -> None:
        self.query = query
        self.parent = parent
        self.catalog = catalog
        self.command = query.number("commandType")
        self.target = query.number("resultRelation")
        """The index of the relation that is written, or 0."""
        self.tables = query.children("rtable")
        self.has_grouping_sets = query.has("groupingSets")
        self.has_groups = query.has("groupClause") and not self.has_grouping_sets

    def enclosing(self, levels: int) -> "Scope":
        """Return the query this many levels further out."""
        scope = self
        for _ in range(levels):
            if scope.parent is None:
                raise TreeError("an expression reaches out of the statement")
            scope = scope.parent
        return scope

    def table(self, index: int) -> Node:
        """The range table entry at an index, from 1."""
        return self.tables[index - 1]

    def output(self, column: int) -> Node | None:
        """The TARGETENTRY of a result column, from 1; None when there is none, as for the columns SEARCH adds."""
        return next((entry for entry in self.outputs() if entry.number("resno") == column), None)

    def outputs(self) -> Iterator[Node]:
        """The TARGETENTRY of each result column."""
        entries = self.query.children("targetList" if self.command == Command.SELECT else "returningList")
        return (entry for entry in entries if not entry.flag("resjunk"))

    def may_be_nulled(self, variable: Node) -> bool:
        """Return whether this VAR of the query can be null for another reason than the value of its column."""
        index = variable.number("varno")
        if index == self.target:
            # Only PostgreSQL 18 and later have `old` and `new`.
            state = variable.number("varreturningtype") if "varreturningtype" in variable.fields else Returned.DEFAULT
            return state not in _RETURNED.get(self.command, set())
        # The join of a MERGE is not in its tree; its source is missing where that has no row for the target's.
        return self.command == Command.MERGE or index in self._nulled

    def is_proved(self, variable: Node) -> bool:
        """Return whether the query's own conditions leave no row where this VAR is null."""
        return (variable.number("varno"), variable.number("varattno")) in self._proved

    def is_one_row(self) -> bool:
        """Whether the query always yields exactly one row: `select 1`, or an aggregate without groups."""
        query = self.query
        if self.command != Command.SELECT or query.flag("hasTargetSRFs"):
            return False
        unbounded = ("setOperations", "groupClause", "groupingSets", "havingQual", "limitCount", "limitOffset")
        if any(query.has(name) for name in unbounded):
            return False
        return query.flag("hasAggs") or not (self._from.has("fromlist") or self._from.has("quals"))

    @property
    def _from(self) -> Node:
        node = self.query.child("jointree")
        if node is None:
            raise TreeError("a query without a FROM node")
        return node

    @cached_property
    def _proved(self) -> frozenset[tuple[int, int]]:
        if self.command == Command.MERGE:
            return frozenset()
        known = non_null_columns(conditions(self._from), self.catalog)
        # WHERE has seen the row as it was, RETURNING shows it as it is written.
        return frozenset(column for column in known if column[0] != self.target)

    @cached_property
    def missing_sides(self) -> tuple[frozenset[int], ...]:
        """What an outer join can null-extend; where a column is known not to be null, its whole side is there."""
        present = {index for index, _ in self._proved}
        return tuple(side for side in null_extended(self._from) if not side & present)

    @cached_property
    def _nulled(self) -> frozenset[int]:
        return frozenset[int]().union(*self.missing_sides)


def is_grouped_by_none(expression: Node) -> bool:
    """Whether an expression cannot be one that a query groups by: it aggregates, or the planner makes it a constant."""
    if any(node.tag in {"AGGREF", "GROUPINGFUNC"} for node in walk(expression, into_queries=False)):
        return True
    if expression.tag == "FUNCEXPR" and expression.number("funcid") in _CONVERSIONS_OF_INTEGERS:
        return is_grouped_by_none(expression.children("args")[0])
    return expression.tag == "CONST"
