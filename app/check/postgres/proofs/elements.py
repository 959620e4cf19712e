"""Prove which arrays hold no null. PostgreSQL keeps none out of an array, so the proof is in what it is made of."""

from collections.abc import Callable

from app.check.postgres.proofs.casts import NULL_AS_ITS_ARGUMENT
from app.check.postgres.proofs.catalog import Catalog
from app.check.postgres.proofs.conditions import non_null_columns
from app.check.postgres.proofs.kinds import Sublink
from app.check.postgres.proofs.nullability import Prover
from app.check.postgres.proofs.result_types import result_type
from app.check.postgres.proofs.scope import Scope
from app.check.postgres.proofs.tree import Node

# Of an array's bytes: where the data begin if a bitmap of nulls comes before them, else 0.
_DATA_OFFSET = slice(8, 12)


def prove_elements(tree: Node, catalog: Catalog) -> list[bool]:
    """For each column of a statement's result: of an array, whether it is proved that no element is ever null."""
    scope, prover = Scope(tree, None, catalog), ElementProver(catalog)
    return [prover.column(scope, entry.number("resno")) for entry in scope.outputs()]


class ElementProver(Prover):
    """Proves of arrays that no element is null; an array that is null itself has none."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(catalog)
        self._catalog = catalog
        self._values = Prover(catalog)

    def expression(self, expression: Node, scope: Scope) -> bool:
        """Return whether the array that this is holds no null."""
        if expression.tag == "VAR":
            return self.variable(expression, scope.enclosing(expression.number("varlevelsup")))
        if expression.tag in _AS_ITS_ARGUMENT:
            argument = expression.child("arg")
            return argument is not None and self.expression(argument, scope)
        rule = _RULES.get(expression.tag)
        return rule is not None and rule(self, expression, scope)

    def variable(self, variable: Node, scope: Scope) -> bool:
        """As of the column: an outer join or a grouping set nulls the whole array, never an element."""
        column = variable.number("varattno")
        return column > 0 and self.table_column(scope, variable.number("varno"), column)

    def relation_column(self, scope: Scope, index: int, column: int) -> bool:
        """Of a view as of its query; what a table holds is not known."""
        view = self._catalog.views.get(scope.table(index).number("relid"))
        return view is not None and index != scope.target and self.column(Scope(view, None, self._catalog), column)

    def function_column(self, table: Node, column: int) -> bool:
        """Not known."""
        return False

    def value(self, expression: Node, scope: Scope) -> bool:
        """Return whether an expression that becomes an element is never null."""
        return self._values.expression(expression, scope)

    def expressions(self, expressions: list[Node], scope: Scope) -> bool:
        """Return whether all of these arrays hold no null."""
        return all(self.expression(expression, scope) for expression in expressions)

    def subquery(self, query: Node, scope: Scope) -> bool:
        """Whether `array(query)` holds no null; arrays become one of more dimensions, and none of them may be null."""
        inner = Scope(query, scope, self._catalog)
        entry = inner.output(1)
        type_ = result_type(entry.child("expr")) if entry else None
        if type_ is None:
            return False
        return self.column(inner, 1) if type_ in self._catalog.arrays else self._values.column(inner, 1)

    def call(self, function: int | None, arguments: list[Node], scope: Scope) -> bool:
        """Return whether the array that a function returns holds no null."""
        match self._catalog.functions.array_functions.get(function or 0), arguments:
            case (("string_to_array" | "regexp_split_to_array"), _):
                return True
            case "array_cat", [left, right]:
                return self.expressions([left, right], scope)
            case ("array_append", [array, value]) | ("array_prepend", [value, array]):
                return self.expression(array, scope) and self.value(value, scope)
            case "array_remove", [array, value]:
                is_null = value.tag == "CONST" and value.flag("constisnull")
                return is_null or self.expression(array, scope)
            case "trim_array", [array, _]:
                return self.expression(array, scope)
            case _:
                return False

    def aggregate(self, aggregate: Node, scope: Scope) -> bool:
        """Return whether `array_agg(…)` gathers no null; of arrays it takes none that is null."""
        name = self._catalog.functions.array_functions.get(aggregate.number("aggfnoid"))
        entries = [entry for entry in aggregate.children("args") if not entry.flag("resjunk")]
        value = entries[0].child("expr") if entries else None
        if name not in {"array_agg", "array_agg of arrays"} or value is None or aggregate.number("agglevelsup"):
            return False
        if name == "array_agg of arrays":
            return self.expression(value, scope)
        return self.value(value, scope) or _is_filtered(value, aggregate.child("aggfilter"), self._catalog)


def _is_filtered(value: Node, condition: Node | None, catalog: Catalog) -> bool:
    """Return whether a FILTER leaves no row where this value, a column of the query itself, is null."""
    if condition is None or value.tag != "VAR" or value.number("varlevelsup"):
        return False
    return (value.number("varno"), value.number("varattno")) in non_null_columns([condition], catalog)


def _constant(_prover: ElementProver, expression: Node, _scope: Scope) -> bool:
    if expression.flag("constisnull"):
        return True
    return not any(expression.numbers("constvalue")[_DATA_OFFSET])


def _array(prover: ElementProver, expression: Node, scope: Scope) -> bool:
    elements = expression.children("elements")
    if expression.flag("multidims"):
        return prover.expressions(elements, scope)
    return all(prover.value(element, scope) for element in elements)


def _sublink(prover: ElementProver, expression: Node, scope: Scope) -> bool:
    kind, query = expression.number("subLinkType"), expression.child("subselect")
    if query is None or kind not in {Sublink.ARRAY, Sublink.VALUE}:
        return False
    if kind == Sublink.ARRAY:
        return prover.subquery(query, scope)
    return prover.column(Scope(query, scope, scope.catalog), 1)


def _case(prover: ElementProver, expression: Node, scope: Scope) -> bool:
    results = [expression.child("defresult"), *(branch.child("result") for branch in expression.children("args"))]
    return prover.expressions([result for result in results if result is not None], scope)


def _conversion(prover: ElementProver, expression: Node, scope: Scope) -> bool:
    """`array::bigint[]`: each element is converted by an expression of its own."""
    array, convert = expression.child("arg"), expression.child("elemexpr")
    if array is None or convert is None:
        return False
    is_total = convert.tag == "FUNCEXPR" and convert.number("funcid") in scope.catalog.functions.total
    return (is_total or convert.tag in {"RELABELTYPE", "COERCEVIAIO"}) and prover.expression(array, scope)


def _slice(prover: ElementProver, expression: Node, scope: Scope) -> bool:
    """`array[1:2]`; `array[1]` is one of its elements, which may be an array of its own by a domain."""
    array = expression.child("refexpr")
    return expression.has("reflowerindexpr") and array is not None and prover.expression(array, scope)


# Of all casts those that change no element; what text is read as, by CoerceViaIO, may have nulls.
_AS_ITS_ARGUMENT = NULL_AS_ITS_ARGUMENT - {"COERCEVIAIO", "ARRAYCOERCEEXPR"}
_RULES: dict[str, Callable[[ElementProver, Node, Scope], bool]] = {
    "CONST": _constant,
    "ARRAYEXPR": _array,
    "SUBLINK": _sublink,
    "CASEEXPR": _case,
    "SUBSCRIPTINGREF": _slice,
    "ARRAYCOERCEEXPR": _conversion,
    "COALESCEEXPR": lambda prover, coalesce, scope: prover.expressions(coalesce.children("args"), scope),
    "MINMAXEXPR": lambda prover, greatest, scope: prover.expressions(greatest.children("args"), scope),
    "NULLIFEXPR": lambda prover, nullif, scope: prover.expression(nullif.children("args")[0], scope),
    "FUNCEXPR": lambda prover, call, scope: prover.call(call.number("funcid"), call.children("args"), scope),
    "OPEXPR": lambda prover, operator, scope: prover.call(
        scope.catalog.operators.get(operator.number("opno")), operator.children("args"), scope
    ),
    "AGGREF": ElementProver.aggregate,
}
