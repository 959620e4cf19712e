"""Prove which columns of a result are null together: those of a row that an outer join did not find."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from app.check.postgres.proofs.catalog import Catalog
from app.check.postgres.proofs.kinds import Command, TableKind
from app.check.postgres.proofs.nullability import Prover
from app.check.postgres.proofs.scope import Scope
from app.check.postgres.proofs.tree import Node

_WITH_ROWS = {TableKind.RELATION, TableKind.SUBQUERY, TableKind.FUNCTION, TableKind.VALUES, TableKind.CTE}


@dataclass(frozen=True, slots=True)
class Absence:
    """Why a column is null in some rows."""

    missing: str
    """What is not there then, by its aliases; columns of which this is the same are all of one row or all null."""
    only: bool
    """Whether it is proved that the column is null for no other reason."""


def prove_absences(tree: Node, catalog: Catalog) -> Sequence[Absence | None]:
    """For each column of a statement's result why it can be null, where an outer join is known to be a reason."""
    scope, prover = Scope(tree, None, catalog), Prover(catalog)
    if scope.command != Command.SELECT or scope.query.has("setOperations") or scope.has_grouping_sets:
        return [None for _ in scope.outputs()]
    return [_absence(entry.child("expr"), scope, prover) for entry in scope.outputs()]


def _absence(expression: Node | None, scope: Scope, prover: Prover) -> Absence | None:
    if expression is None or expression.tag != "VAR" or expression.number("varlevelsup"):
        return None
    index, column = expression.number("varno"), expression.number("varattno")
    sides = [side for side in scope.missing_sides if index in side]
    if not sides or column <= 0 or scope.table(index).number("rtekind") not in _WITH_ROWS:
        return None
    missing = ", ".join(sorted("+".join(sorted(_alias(scope, member) for member in side)) for side in sides))
    return Absence(missing, prover.table_column(scope, index, column))


def _alias(scope: Scope, index: int) -> str:
    """What a relation is called, with its number where another one is called the same."""
    names = [alias.text("aliasname") for table in scope.tables if (alias := table.child("eref"))]
    name = names[index - 1]
    # An alias may be any text, and look like those of two relations.
    shown = json.dumps(name) if set(name) & set('+,#"') else name
    return f"{shown}#{index}" if names.count(name) > 1 else shown
