"""Compiles bound functions: as short as if they were written by hand."""

from collections.abc import Callable
from typing import Any

from app.db.binding.arguments import argument_tests
from app.db.binding.namespace import Namespace
from app.db.binding.query import Query
from app.db.binding.signature import Signature
from app.db.errors import NotFound, TooManyRows

_BODIES = {
    "none": "await {db}.run_query({query}, ({arguments}))",
    "many": "return await {db}.run_query({query}, ({arguments}))",
    "one": "return {one}({query}, await {db}.run_query({query}, ({arguments})))",
    "number": "return {one}({query}, await {db}.run_query({query}, ({arguments})))",
    "optional": "return {optional}({query}, await {db}.run_query({query}, ({arguments})))",
    "stream": "return {db}.stream_query({query}, ({arguments}))",
    "copy": "return await {db}.copy_rows({query}, rows)",
}


def compile_function(
    signature: Signature, query: Query, through: Callable[[Any], Any] | None = None
) -> Callable[..., Any]:
    """Return a function with the bound signature that checks its arguments and runs the query.

    `through` is applied to the first argument to get the executor; without it the argument is the executor.
    """
    names = Namespace([signature.executor, *signature.hints])
    hints = {} if query.copy else signature.hints
    lines = argument_tests(query.function, hints, names)
    lines.append(
        _BODIES[query.cardinality].format(
            db=f"{names.give(through, 'through')}({signature.executor})" if through else signature.executor,
            query=names.give(query, "query"),
            one=names.give(one, "one"),
            optional=names.give(optional, "optional"),
            arguments="".join(f"{parameter}, " for parameter in query.parameters),
        )
    )
    parameters = "".join(f", {name}" for name in ["*", *signature.hints]) if signature.hints else ""
    prefix = "" if query.cardinality == "stream" else "async "
    own, body = names.give(None, "bound"), "\n    ".join(lines)
    function = names.compiled(f"{prefix}def {own}({signature.executor}{parameters}):\n    {body}\n", own)
    # Tracebacks show the name of the bound function.
    function.__code__ = function.__code__.replace(co_name=query.function, co_qualname=query.function)
    return function


def one(query: Query, rows: list[Any]) -> Any:
    """Return the only row. Raises NotFound when there is none and TooManyRows when there are several."""
    if len(rows) == 1:
        return rows[0]
    if rows:
        raise TooManyRows(f"{query.statement.place}: {query.function} promises one row and found {len(rows)}")
    raise NotFound(query.resource)


def optional(query: Query, rows: list[Any]) -> Any | None:
    """Return the only row or None. Raises TooManyRows when there are several."""
    return one(query, rows) if rows else None
