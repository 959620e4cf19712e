"""Read the type of an expression, which every kind of node keeps in a field of its own."""

from app.check.postgres.proofs.kinds import Sublink
from app.check.postgres.proofs.tree import Node

_FIELDS = {
    "VAR": "vartype",
    "CONST": "consttype",
    "PARAM": "paramtype",
    "AGGREF": "aggtype",
    "WINDOWFUNC": "wintype",
    "FUNCEXPR": "funcresulttype",
    "OPEXPR": "opresulttype",
    "RELABELTYPE": "resulttype",
    "COERCEVIAIO": "resulttype",
    "ARRAYCOERCEEXPR": "resulttype",
    "COERCETODOMAIN": "resulttype",  # PostgreSQL's own name for this node, CoerceToDomain
    "CASEEXPR": "casetype",
    "ARRAYEXPR": "array_typeid",
    "ROWEXPR": "row_typeid",
    "COALESCEEXPR": "coalescetype",
    "MINMAXEXPR": "minmaxtype",
    "SQLVALUEFUNCTION": "type",
    "MERGESUPPORTFUNC": "msftype",
}
_BOOLEAN, _INTEGER = 16, 23
_FIXED = {
    "BOOLEXPR": _BOOLEAN,
    "NULLTEST": _BOOLEAN,
    "BOOLEANTEST": _BOOLEAN,
    "DISTINCTEXPR": _BOOLEAN,
    "SCALARARRAYOPEXPR": _BOOLEAN,
    "GROUPINGFUNC": _INTEGER,
}


def result_type(expression: Node | None) -> int | None:
    """The object id of an expression's type, or None if this does not tell."""
    if expression is None:
        return None
    if expression.tag == "COLLATEEXPR":
        return result_type(expression.child("arg"))
    if expression.tag == "SUBLINK":
        return _subquery_type(expression)
    if name := _FIELDS.get(expression.tag):
        return expression.number(name)
    return _FIXED.get(expression.tag)


def _subquery_type(sublink: Node) -> int | None:
    kind, query = sublink.number("subLinkType"), sublink.child("subselect")
    if kind == Sublink.EXISTS:
        return _BOOLEAN
    if kind != Sublink.VALUE or query is None:
        return None
    entries = query.children("targetList")
    return result_type(entries[0].child("expr")) if entries else None
