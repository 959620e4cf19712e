"""Find which columns cannot be null in a row that has passed a condition."""

from collections.abc import Iterable, Iterator

from app.check.postgres.proofs.catalog import Catalog
from app.check.postgres.proofs.kinds import Sublink
from app.check.postgres.proofs.tree import Node, TreeError

Column = tuple[int, int]
"""A relation's index in the range table and the number of a column, from 1."""
_NULLTEST_IS_NULL, _NULLTEST_IS_NOT_NULL = 0, 1
# IS TRUE, IS FALSE and IS NOT UNKNOWN; the other three are true of null, and so false of values only.
_BOOLEANTESTS_OF_VALUES = (0, 2, 5)


def non_null_columns(conditions: Iterable[Node], catalog: Catalog) -> frozenset[Column]:
    """The columns of this query itself that are not null where all these conditions are true."""
    return frozenset(column for condition in conditions for column in _where(condition, catalog, holds=True))


def _where(condition: Node, catalog: Catalog, *, holds: bool) -> Iterator[Column]:
    """The columns that are not null where the condition is true (`holds`), or where it is false."""
    match condition.tag:
        case "BOOLEXPR":
            yield from _connective(condition, catalog, holds=holds)
        case "NULLTEST":
            # `row is not null` is about the fields of the row.
            excludes_null = _NULLTEST_IS_NOT_NULL if holds else _NULLTEST_IS_NULL
            if condition.number("nulltesttype") == excludes_null and not condition.flag("argisrow"):
                yield from _where_not_null(condition.child("arg"), catalog)
        case "BOOLEANTEST":
            if (condition.number("booltesttype") in _BOOLEANTESTS_OF_VALUES) == holds:
                yield from _where_not_null(condition.child("arg"), catalog)
        case "DISTINCTEXPR":
            if not holds:
                yield from _where_same(condition.children("args"), catalog)
        case "SCALARARRAYOPEXPR":
            if (
                _compares_once(condition, holds=holds)
                and catalog.operators.get(condition.number("opno")) in catalog.strict
            ):
                yield from _where_not_null(condition.children("args")[0], catalog)
        case "SUBLINK":
            # `x in (select …)`: true takes one true comparison.
            test = condition.child("testexpr")
            if holds and condition.number("subLinkType") == Sublink.ANY and test:
                yield from _where(test, catalog, holds=True)
        case _:
            yield from _where_not_null(condition, catalog)


def _connective(condition: Node, catalog: Catalog, *, holds: bool) -> Iterator[Column]:
    kind, arguments = condition.text("boolop"), condition.children("args")
    if kind == "not":
        yield from _where(arguments[0], catalog, holds=not holds)
        return
    if kind not in {"and", "or"}:
        raise TreeError(f"unknown connective {kind}")
    each = [frozenset(_where(argument, catalog, holds=holds)) for argument in arguments]
    # `a and b` is true where both are, and false where one of them is.
    all_hold = (kind == "and") == holds
    yield from frozenset[Column]().union(*each) if all_hold else each[0].intersection(*each[1:])


def _where_same(sides: list[Node], catalog: Catalog) -> Iterator[Column]:
    """`x is not distinct from 1`: x is not null."""
    left, right = sides
    for side, other in ((left, right), (right, left)):
        if other.tag == "CONST" and not other.flag("constisnull"):
            yield from _where_not_null(side, catalog)


def _compares_once(condition: Node, *, holds: bool) -> bool:
    """Return whether this result of `x = any (…)` or `x <> all (…)` takes one comparison that is not null.

    For an empty array ANY is false and ALL is true, for every x.
    """
    right = condition.children("args")[1]
    is_filled = right.tag == "ARRAYEXPR" and right.has("elements") and not right.flag("multidims")
    return condition.flag("useOr") == holds or is_filled


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
