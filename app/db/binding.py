"""The functions that bound ones become: as short as if they were written by hand."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.db.arguments import argument_tests
from app.db.errors import NotFound, TooManyRows
from app.db.own_names import OwnNames
from app.db.signature import Signature

if TYPE_CHECKING:
    from app.db.queries import Query

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
    signature: Signature, query: "Query", through: Callable[[Any], Any] | None = None
) -> Callable[..., Any]:
    """A function with the bound signature that tests its arguments and runs the query.

    `through` makes of the first argument what runs it; without it that is the argument itself.
    """
    names = OwnNames([signature.executor, *signature.hints])
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
    # What a traceback shows.
    function.__code__ = function.__code__.replace(co_name=query.function, co_qualname=query.function)
    return function


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
