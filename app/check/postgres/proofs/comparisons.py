"""Find what becomes of parameters: compared so that null is never true, tested for null, or sorted by."""

from collections.abc import Iterator

from app.check.postgres.proofs.casts import parameter_number
from app.check.postgres.proofs.tree import Node, Value, walk

_OPERATORS = frozenset(("OPEXPR", "SCALARARRAYOPEXPR"))
# Where each holds the number of its function.
_STRICT_CALLS = {"OPEXPR": "opfuncid", "SCALARARRAYOPEXPR": "opfuncid", "FUNCEXPR": "funcid"}
_CONDITIONS = (("FROMEXPR", "quals"), ("JOINEXPR", "quals"), ("QUERY", "havingQual"))


def compared_parameters(tree: Node, strict_functions: frozenset[int]) -> set[int]:
    """The numbers of the parameters for which null makes a WHERE, ON or HAVING fail, without that being asked for.

    `:x is null or a = :x` asks; so does a CASE that tests `:x is null`.
    """
    return set(_in_query(tree, strict_functions, frozenset()))


def tested_parameters(tree: Node) -> set[int]:
    """The numbers of the parameters that the statement expects to be null: in `is null` or `coalesce`."""
    return set(_expected_null(tree))


def sorting_parameters(tree: Node) -> set[int]:
    """The numbers of the parameters that rows are ordered by: one value for all of them, which orders nothing."""
    return set(_numbers([expression for node in walk(tree) for expression in _sort_expressions(node)]))


def _sort_expressions(node: Node) -> Iterator[Node]:
    """What a query, its windows or an aggregate order by."""
    if node.tag == "QUERY":
        clauses = [*node.children("sortClause")]
        for window in node.children("windowClause"):
            clauses += window.children("orderClause")
        entries = node.children("targetList")
    elif node.tag == "AGGREF":
        clauses, entries = node.children("aggorder"), node.children("args")
    else:
        return
    sorted_by = {clause.number("tleSortGroupRef") for clause in clauses}
    for entry in entries:
        expression = entry.child("expr")
        if expression is not None and entry.number("ressortgroupref") in sorted_by:
            yield expression


def _expected_null(value: Value) -> Iterator[int]:
    for node in walk(value):
        if node.tag == "NULLTEST" and (tested := node.child("arg")) is not None:
            yield from _numbers([tested])
        elif node.tag == "COALESCEEXPR":
            yield from _numbers(node.children("args"))


def _numbers(nodes: list[Node]) -> Iterator[int]:
    return (number for number in map(parameter_number, nodes) if number is not None)


def _in_query(value: Value, strict: frozenset[int], guarded: frozenset[int]) -> Iterator[int]:
    if isinstance(value, list):
        for item in value:
            yield from _in_query(item, strict, guarded)
    elif isinstance(value, Node):
        for name, child in value.fields.items():
            if (value.tag, name) in _CONDITIONS:
                yield from _in_condition(child, strict, guarded)
            else:
                yield from _in_query(child, strict, guarded)


def _in_condition(value: Value, strict: frozenset[int], guarded: frozenset[int]) -> Iterator[int]:
    if not isinstance(value, Node):
        return
    if value.tag in {"BOOLEXPR", "CASEEXPR"}:
        guarded |= frozenset(_tests(value))
    if value.tag == "BOOLEXPR":
        for argument in value.children("args"):
            yield from _in_condition(argument, strict, guarded)
        return
    if value.tag in _OPERATORS and value.number(_STRICT_CALLS[value.tag]) in strict:
        yield from set(_null_making(value, strict)) - guarded
    yield from _in_query(value, strict, guarded)


def _tests(condition: Node) -> Iterator[int]:
    """The parameters that the condition itself tests for null, not a query inside it."""
    for node in walk(list(condition.fields.values()), into_queries=False):
        if node.tag == "NULLTEST" and (tested := node.child("arg")) is not None:
            yield from _numbers([tested])


def _null_making(node: Node, strict: frozenset[int]) -> Iterator[int]:
    """The parameters that make the result of an operator null when they are null."""
    number = parameter_number(node)
    if number is not None:
        yield number
    elif node.tag in _STRICT_CALLS and node.number(_STRICT_CALLS[node.tag]) in strict:
        for argument in node.children("args"):
            yield from _null_making(argument, strict)
