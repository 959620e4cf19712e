"""Expressions that are never null, by kind of node; a kind without a rule can be null."""

from collections.abc import Callable
from typing import TypeAlias

from app.check.postgres.proofs.casts import NULL_AS_ITS_ARGUMENT
from app.check.postgres.proofs.scope import Scope
from app.check.postgres.proofs.tree import Node

Proof: TypeAlias = Callable[[Node], bool]
"""Says of an expression in the same query that it is never null."""
# current_schema, which comes after it, is null where no schema of the search path exists.
_LAST_NEVER_NULL_SQL_VALUE = 13
# `$1`, and not what stands for a value inside the tree.
_EXTERNAL = 0
# What json_object() and json_array() make is there even of nulls.
_JSON_OBJECT, _JSON_ARRAY = 1, 2


def never_null(expression: Node, scope: Scope, proof: Proof) -> bool:
    """Whether an expression other than a column or a subquery's value is never null, given a proof for its parts."""
    if expression.tag in _ALWAYS:
        return True
    if expression.tag in NULL_AS_ITS_ARGUMENT:
        argument = expression.child("arg")
        return argument is not None and proof(argument)
    rule = _RULES.get(expression.tag)
    return rule is not None and rule(expression, scope, proof)


def _all(arguments: list[Node], proof: Proof) -> bool:
    return all(map(proof, arguments))


def _constant(expression: Node, _scope: Scope, _proof: Proof) -> bool:
    return not expression.flag("constisnull")


def _parameter(expression: Node, scope: Scope, _proof: Proof) -> bool:
    return expression.number("paramkind") == _EXTERNAL and expression.number("paramid") in scope.catalog.given


def _any_argument(expression: Node, _scope: Scope, proof: Proof) -> bool:
    return any(map(proof, expression.children("args")))


def _all_arguments(expression: Node, _scope: Scope, proof: Proof) -> bool:
    return _all(expression.children("args"), proof)


def _case(expression: Node, _scope: Scope, proof: Proof) -> bool:
    otherwise = expression.child("defresult")
    results = [branch.child("result") for branch in expression.children("args")]
    return all(result is not None and proof(result) for result in [otherwise, *results])


def _operator(expression: Node, scope: Scope, proof: Proof) -> bool:
    if expression.flag("opretset"):
        return False
    function = scope.catalog.operators.get(expression.number("opno"))
    return function in scope.catalog.functions.total and _all(expression.children("args"), proof)


def _distinction(expression: Node, scope: Scope, _proof: Proof) -> bool:
    """`x is distinct from y`: what the type's `=` says of two values."""
    return scope.catalog.operators.get(expression.number("opno")) in scope.catalog.functions.total


def _function(expression: Node, scope: Scope, proof: Proof) -> bool:
    # Of two functions that return sets the shorter one goes on with nulls.
    if expression.flag("funcretset") or expression.flag("funcvariadic"):
        return False
    functions, function = scope.catalog.functions, expression.number("funcid")
    if function in functions.never_null:
        return True
    return function in functions.total and _all(expression.children("args"), proof)


def _comparison_with_list(expression: Node, scope: Scope, proof: Proof) -> bool:
    """`x in (…)`; of the members of another array nothing is known."""
    left, right = expression.children("args")
    if right.tag != "ARRAYEXPR" or right.flag("multidims"):
        return False
    function = scope.catalog.operators.get(expression.number("opno"))
    return function in scope.catalog.functions.total and _all([left, *right.children("elements")], proof)


def _aggregate(expression: Node, scope: Scope, proof: Proof) -> bool:
    functions, function = scope.catalog.functions, expression.number("aggfnoid")
    if function in functions.never_null_aggregates:
        return True
    # Without GROUP BY there may be no row, and FILTER may leave none of a group.
    if not scope.has_groups or expression.has("aggfilter") or expression.number("agglevelsup"):
        return False
    if function in functions.collecting_aggregates:
        return True
    entries = [entry for entry in expression.children("args") if not entry.flag("resjunk")]
    arguments = [argument for entry in entries if (argument := entry.child("expr")) is not None]
    return function in functions.group_aggregates and _all(arguments, proof)


def _window_function(expression: Node, scope: Scope, _proof: Proof) -> bool:
    return expression.number("winfnoid") in scope.catalog.functions.never_null_window_functions


def _sql_value(expression: Node, _scope: Scope, _proof: Proof) -> bool:
    """current_date, current_user and the like."""
    return expression.number("op") <= _LAST_NEVER_NULL_SQL_VALUE


def _json_constructor(expression: Node, scope: Scope, proof: Proof) -> bool:
    """`json_object(…)`, `json_arrayagg(…)`, `json_scalar(…)` and the like, and their `returning` of another type."""
    if expression.number("type") not in {_JSON_OBJECT, _JSON_ARRAY}:
        made = expression.child("func")
        if not _all([made] if made else expression.children("args"), proof):
            return False
    conversion = expression.child("coercion")
    while conversion is not None and conversion.tag in NULL_AS_ITS_ARGUMENT:
        conversion = conversion.child("arg")
    return conversion is None or conversion.tag == "CASETESTEXPR"


def _json_value(expression: Node, _scope: Scope, proof: Proof) -> bool:
    formatted = expression.child("formatted_expr")
    return formatted is not None and proof(formatted)


def _json_test(expression: Node, _scope: Scope, proof: Proof) -> bool:
    """`x is json`."""
    tested = expression.child("expr")
    return tested is not None and proof(tested)


_ALWAYS = frozenset({"NULLTEST", "BOOLEANTEST", "ARRAYEXPR", "ROWEXPR", "GROUPINGFUNC", "MERGESUPPORTFUNC"})
_RULES: dict[str, Callable[[Node, Scope, Proof], bool]] = {
    "CONST": _constant,
    "PARAM": _parameter,
    "COALESCEEXPR": _any_argument,
    "MINMAXEXPR": _any_argument,
    "BOOLEXPR": _all_arguments,
    "CASEEXPR": _case,
    "OPEXPR": _operator,
    "DISTINCTEXPR": _distinction,
    "FUNCEXPR": _function,
    "SCALARARRAYOPEXPR": _comparison_with_list,
    "AGGREF": _aggregate,
    "WINDOWFUNC": _window_function,
    "SQLVALUEFUNCTION": _sql_value,
    "JSONCONSTRUCTOREXPR": _json_constructor,
    "JSONVALUEEXPR": _json_value,
    "JSONISPREDICATE": _json_test,
}
