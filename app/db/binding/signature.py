"""Reads the signature of a function and checks it against its statement."""

import dataclasses
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from app.db.binding.annotations import members
from app.db.binding.row_fields import fields_of, split_optional
from app.db.errors import BindingError
from app.db.sql.copy_target import CopyTarget, copy_target
from app.db.sql.places import shown
from app.db.sql.statement import Statement


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """A function that can be bound to a statement."""

    function: Callable[..., Any]
    executor: str
    """The name of its first argument."""
    hints: dict[str, Any]
    """The annotations of the others, in their order."""
    cardinality: str
    """none, number, one, optional, many, stream or copy."""
    row: Any
    """The dataclass or scalar of a row. None for a statement without rows."""
    copy: CopyTarget | None

    @property
    def where(self) -> str:
        """The file and line of the function."""
        return where(self.function)


def where(function: Callable[..., Any]) -> str:
    """Return the file and line where a function is defined, `app/repositories/users.py:41`."""
    code = inspect.unwrap(function).__code__
    return f"{shown(Path(code.co_filename))}:{code.co_firstlineno}"


def read_signature(function: Callable[..., Any], statement: Statement) -> Signature:
    """Read a signature. Raises BindingError when it does not match the statement."""
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
        cardinality, row = _cardinality(returns)
    except BindingError as error:
        raise BindingError(f"{where(function)}: {error}") from None
    _check_kind(function, cardinality)
    check_names(function, names, statement)
    return Signature(function, executor, arguments, cardinality, row, None)


def check_names(function: Callable[..., Any], names: list[str], statement: Statement) -> None:
    """Raise BindingError unless the arguments are exactly the placeholders."""
    faults = [f":{name} has no argument" for name in statement.parameters if name not in names]
    faults += [f"argument {name!r} has no :{name}" for name in names if name not in statement.parameters]
    if faults:
        raise BindingError(f"{where(function)}: {statement.place}: {statement.name}: {'; '.join(faults)}")


def _arguments(function: Callable[..., object]) -> tuple[str, list[str]]:
    """Return the names of the executor and of the arguments."""
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


def _cardinality(annotation: Any) -> tuple[str, Any]:
    if annotation is inspect.Parameter.empty:
        raise BindingError("the return type is missing; it says how many rows there are")
    if annotation is None or annotation is type(None):
        return "none", None
    if annotation is int:
        return "number", int
    if get_origin(annotation) is AbstractAsyncContextManager:
        return "stream", _streamed_row(get_args(annotation)[0])
    inner, optional = split_optional(annotation)
    if optional:
        return "optional", inner
    if get_origin(annotation) is list:
        return "many", get_args(annotation)[0]
    return "one", annotation


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
    row = _copied_row(hints["rows"], target, statement)
    return Signature(function, executor, hints, "copy", row, target)


def _copied_row(annotation: Any, target: CopyTarget, statement: Statement) -> Any:
    """Return the dataclass in `rows: Iterable[Row] | AsyncIterable[Row]`. Raises BindingError if it does not fit."""
    kinds = {argument for member in members(annotation) for argument in get_args(member)}
    row_type = kinds.pop() if len(kinds) == 1 else None
    if not dataclasses.is_dataclass(row_type) or not isinstance(row_type, type):
        raise BindingError("rows must be declared Iterable[Row] | AsyncIterable[Row], with a dataclass as Row")
    fields = {name for name, _ in fields_of(row_type)}
    faults = [f"no field for column {name!r}" for name in target.columns if name not in fields]
    faults += [f"no column for field {name!r}" for name in sorted(fields.difference(target.columns))]
    if faults:
        raise BindingError(statement.locate(0).report(f"{row_type.__name__} does not fit: {'; '.join(faults)}"))
    return row_type
