"""The Python side of a binding: what the signature of a function says, checked against its statement."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from app.db.bulk import CopyTarget, copied_row, copy_target
from app.db.errors import BindingError
from app.db.fields import split_optional
from app.db.rows import RowType
from app.db.source import shown
from app.db.statement import Statement


@dataclass(frozen=True, slots=True)
class Signature:
    """A function that can be bound to a statement."""

    function: Callable[..., Any]
    executor: str
    """The name of its first argument."""
    hints: dict[str, Any]
    """The annotations of the others, in their order."""
    cardinality: str
    """none, number, one, optional, many, stream or copy."""
    row_type: RowType | None
    copy: CopyTarget | None

    @property
    def where(self) -> str:
        """The file and line of the function."""
        return where(self.function)


def where(function: Callable[..., Any]) -> str:
    """The file and line where a function is defined, `app/repositories/users.py:41`."""
    code = inspect.unwrap(function).__code__
    return f"{shown(Path(code.co_filename))}:{code.co_firstlineno}"


def read_signature(function: Callable[..., Any], statement: Statement) -> Signature:
    """What the signature says; BindingError where it does not fit the statement."""
    try:
        hints = get_type_hints(function)
    except NameError as error:
        raise BindingError(f"{where(function)}: {function.__name__}: {error}") from None
    executor, names = _arguments(function)
    returns = hints.get("return", inspect.Parameter.empty)
    for name in names:
        if name not in hints:
            raise BindingError(f"{where(function)}: argument {name!r} of {function.__name__} has no annotation")
    arguments = {name: hints[name] for name in names}
    try:
        if statement.keyword == "copy":
            return _copy_signature(function, executor, arguments, returns, statement)
        cardinality, row_type = _cardinality(returns)
    except BindingError as error:
        raise BindingError(f"{where(function)}: {error}") from None
    _check_kind(function, cardinality)
    check_names(function, names, statement)
    return Signature(function, executor, arguments, cardinality, row_type, None)


def check_names(function: Callable[..., Any], names: list[str], statement: Statement) -> None:
    """BindingError unless the arguments are exactly the placeholders."""
    faults = [f":{name} has no argument" for name in statement.parameters if name not in names]
    faults += [f"argument {name!r} has no :{name}" for name in names if name not in statement.parameters]
    if faults:
        raise BindingError(f"{where(function)}: {statement.place}: {statement.name}: {'; '.join(faults)}")


def _arguments(function: Callable[..., object]) -> tuple[str, list[str]]:
    """The names of the executor and of the arguments."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
        raise BindingError(f"{where(function)}: {function.__name__} takes the executor first: (db: Executor, *, …)")
    if any(p.kind is not inspect.Parameter.KEYWORD_ONLY or p.default is not p.empty for p in parameters[1:]):
        raise BindingError(
            f"{where(function)}: after the executor, {function.__name__} takes keyword-only arguments without defaults"
        )
    return parameters[0].name, [parameter.name for parameter in parameters[1:]]


def _check_kind(function: Callable[..., object], cardinality: str) -> None:
    if cardinality == "stream" and inspect.iscoroutinefunction(function):
        raise BindingError(f"{where(function)}: {function.__name__} is a stream: declare it `def`, without async")
    if cardinality != "stream" and not inspect.iscoroutinefunction(function):
        raise BindingError(f"{where(function)}: {function.__name__} must be declared `async def`")


def _cardinality(annotation: Any) -> tuple[str, RowType | None]:
    if annotation is inspect.Parameter.empty:
        raise BindingError("the return type is missing; it says how many rows there are")
    if annotation is None or annotation is type(None):
        return "none", None
    if annotation is int:
        return "number", RowType(int)
    if get_origin(annotation) is AbstractAsyncContextManager:
        return "stream", RowType(_streamed_row(get_args(annotation)[0]))
    inner, optional = split_optional(annotation)
    if optional:
        return "optional", RowType(inner)
    if get_origin(annotation) is list:
        return "many", RowType(get_args(annotation)[0])
    return "one", RowType(annotation)


def _streamed_row(annotation: Any) -> Any:
    if get_origin(annotation) is not AsyncIterator:
        raise BindingError("a stream returns AbstractAsyncContextManager[AsyncIterator[Row]]")
    return get_args(annotation)[0]


def _copy_signature(
    function: Callable[..., Any], executor: str, hints: dict[str, Any], returns: Any, statement: Statement
) -> Signature:
    _check_kind(function, "copy")
    if returns is not int:
        raise BindingError(f"{function.__name__} copies rows: declare it -> int, the number of rows")
    if list(hints) != ["rows"]:
        raise BindingError(
            f"{function.__name__} copies rows: it takes (db, *, rows: Iterable[Row] | AsyncIterable[Row]) and no more"
        )
    target = copy_target(statement)
    row_type = RowType(copied_row(hints["rows"], target, statement))
    return Signature(function, executor, hints, "copy", row_type, target)
