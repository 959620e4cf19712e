"""Expressions beneath their casts."""

from app.check.postgres.proofs.tree import Node

NULL_AS_ITS_ARGUMENT = frozenset(
    {
        "RELABELTYPE",
        "COLLATEEXPR",
        "COERCEVIAIO",
        "ARRAYCOERCEEXPR",
        "COERCETODOMAIN",  # PostgreSQL's own name for this node, CoerceToDomain
    }
)
"""The kinds of casts that are null exactly if their `arg` is.

CoerceViaIO raises an error for an input function that returns null; a domain's NOT NULL is left out, see catalog.
"""
_CAST_FORMATS = (1, 2)


def parameter_number(node: Node) -> int | None:
    """Return 1 for `$1`, cast or not; None for everything else."""
    node = uncast(node)
    return node.number("paramid") if node.tag == "PARAM" and node.number("paramkind") == 0 else None


def uncast(node: Node) -> Node:
    """Return the expression beneath all casts."""
    while True:
        if node.tag in NULL_AS_ITS_ARGUMENT:
            inner = node.child("arg")
        elif node.tag == "FUNCEXPR" and node.number("funcformat") in _CAST_FORMATS:
            inner = node.children("args")[0]
        else:
            return node
        if inner is None:
            return node
        node = inner
