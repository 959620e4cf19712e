"""The functions that bound ones become: as short as if they were written by hand."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.db.arguments import argument_tests
from app.db.errors import NotFound, TooManyRows
from app.db.signature import Signature

if TYPE_CHECKING:
    from app.db.queries import Query

# Underscores keep these names apart from statements and placeholders, which may well be called `one` or `query`.
_BODIES = {
    "none": "await {db}.run_query(__query__, ({arguments}))",
    "many": "return await {db}.run_query(__query__, ({arguments}))",
    "one": "return __one__(__query__, await {db}.run_query(__query__, ({arguments})))",
    "number": "return __one__(__query__, await {db}.run_query(__query__, ({arguments})))",
    "optional": "return __optional__(__query__, await {db}.run_query(__query__, ({arguments})))",
    "stream": "return {db}.stream_query(__query__, ({arguments}))",
    "copy": "return await {db}.copy_rows(__query__, rows)",
}


def compile_function(signature: Signature, query: "Query", executor: str = "{db}", **names: Any) -> Callable[..., Any]:
    """A function with the bound signature that tests its arguments and runs the query.

    `executor` is source for what runs it, with the first argument in the place of `{db}`, and may use `names`.
    """
    names |= {"__query__": query, "__one__": one, "__optional__": optional}
    hints = {} if query.copy else signature.hints
    lines = argument_tests(query.function, hints, names)
    arguments = "".join(f"{parameter}, " for parameter in query.parameters)
    db = executor.format(db=signature.executor)
    lines.append(_BODIES[query.cardinality].format(db=db, arguments=arguments))
    parameters = "".join(f", {name}" for name in ["*", *signature.hints]) if signature.hints else ""
    prefix = "" if query.cardinality == "stream" else "async "
    body = "\n    ".join(lines)
    # The text is made of the identifiers of a signature in our own modules; no input reaches it.
    exec(f"{prefix}def {query.function}({signature.executor}{parameters}):\n    {body}\n", names)  # noqa: S102 - no input reaches it
    return names[query.function]


def one(query: "Query", rows: list[Any]) -> Any:
    """The only row; NotFound where there is none, TooManyRows where there are several."""
    if len(rows) == 1:
        return rows[0]
    if rows:
        raise TooManyRows(f"{query.statement.place}: {query.function} promises one row and found {len(rows)}")
    raise NotFound(query.resource)


def optional(query: "Query", rows: list[Any]) -> Any | None:
    """The only row or None; TooManyRows where there are several."""
    return one(query, rows) if rows else None
