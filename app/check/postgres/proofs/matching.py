"""Compare and search expressions of a tree."""

from collections.abc import Iterator

from app.check.postgres.proofs.tree import Node, Value

# Where the text stood, how a conversion was spelt, and what the server works out itself.
_NO_MATTER = frozenset({
    "location", "funcformat", "relabelformat", "coerceformat", "opfuncid",
    "varno", "varnosyn", "varattnosyn", "varnullingrels",
})  # fmt: skip


def same_expression(expression: Value, indexed: Value, relation: int) -> bool:
    """Whether an expression of a query is, about the relation at that index, the one that an index was made of."""
    if isinstance(expression, Node) and isinstance(indexed, Node):
        if expression.tag == "VAR" and (expression.number("varno") != relation or expression.number("varlevelsup")):
            return False
        names = (expression.fields.keys() & indexed.fields.keys()) - _NO_MATTER
        return expression.tag == indexed.tag and all(
            same_expression(expression.fields[name], indexed.fields[name], relation) for name in names
        )
    if isinstance(expression, list) and isinstance(indexed, list):
        pairs = zip(expression, indexed, strict=False)
        return len(expression) == len(indexed) and all(same_expression(*pair, relation) for pair in pairs)
    return expression == indexed


def mentioned(value: Value, depth: int = 0) -> Iterator[int]:
    """The indexes of the relations of a query whose columns an expression or subquery of it uses."""
    if isinstance(value, list):
        for item in value:
            yield from mentioned(item, depth)
    elif isinstance(value, Node):
        if value.tag == "VAR" and value.number("varlevelsup") == depth:
            yield value.number("varno")
        inner = depth + (value.tag == "QUERY")
        for item in value.fields.values():
            yield from mentioned(item, inner)


def without_relabelling(expression: Node) -> Node:
    """The expression beneath conversions that leave a value as it is, such as varchar to text."""
    inner = expression.child("arg") if expression.tag == "RELABELTYPE" else None
    return without_relabelling(inner) if inner is not None else expression
