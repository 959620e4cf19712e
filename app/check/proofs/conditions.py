"""Which columns cannot be null in a row that has passed a condition."""

from collections.abc import Iterable, Iterator

from app.check.proofs.catalog import Catalog
from app.check.proofs.kinds import Sublink
from app.check.proofs.tree import Node

Column = tuple[int, int]
"""A relation's index in the range table and the number of a column, from 1."""
_NULLTEST_IS_NOT_NULL = 1
# IS TRUE, IS FALSE and IS NOT UNKNOWN.
_BOOLEANTESTS_OF_VALUES = (0, 2, 5)


def non_null_columns(conditions: Iterable[Node], catalog: Catalog) -> frozenset[Column]:
    """The columns of this query itself that are not null where all these conditions are true."""
    return frozenset(column for condition in conditions for column in _where_true(condition, catalog))


def _where_true(condition: Node, catalog: Catalog) -> Iterator[Column]:
    match condition.tag:
        case "NULLTEST":
            # `row is not null` speaks of the row's fields.
            if condition.number("nulltesttype") == _NULLTEST_IS_NOT_NULL and not condition.flag("argisrow"):
                yield from _where_not_null(condition.child("arg"), catalog)
        case "BOOLEANTEST":
            if condition.number("booltesttype") in _BOOLEANTESTS_OF_VALUES:
                yield from _where_not_null(condition.child("arg"), catalog)
        case "SCALARARRAYOPEXPR":
            # True for ANY takes one true comparison; ALL is true of an empty array, whatever stands at its left.
            if condition.flag("useOr") and catalog.operators.get(condition.number("opno")) in catalog.strict:
                yield from _where_not_null(condition.children("args")[0], catalog)
        case "SUBLINK":
            # `x in (select …)`: true takes one true comparison.
            test = condition.child("testexpr")
            if condition.number("subLinkType") == Sublink.ANY and test:
                yield from _where_true(test, catalog)
        case _:
            yield from _where_not_null(condition, catalog)


def _where_not_null(expression: Node | None, catalog: Catalog) -> Iterator[Column]:
    """The columns that are not null where this expression is not: those that reach it through strict steps only."""
    if expression is None:
        return
    match expression.tag:
        case "VAR":
            if expression.number("varlevelsup") == 0:
                yield expression.number("varno"), expression.number("varattno")
        case "RELABELTYPE" | "COLLATEEXPR":
            yield from _where_not_null(expression.child("arg"), catalog)
        case "OPEXPR" | "FUNCEXPR" if _function(expression, catalog) in catalog.strict:
            for argument in expression.children("args"):
                yield from _where_not_null(argument, catalog)
        case "BOOLEXPR" if expression.text("boolop") == "not":
            yield from _where_not_null(expression.children("args")[0], catalog)
        case _:
            return


def _function(expression: Node, catalog: Catalog) -> int | None:
    if expression.tag == "FUNCEXPR":
        return expression.number("funcid")
    return catalog.operators.get(expression.number("opno"))
