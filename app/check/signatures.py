"""What the Python side of a binding says, and in which line: arguments, fields of the row type, promise of rows."""

import ast
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from app.db.queries import Queries, Query
from app.db.rows import split_optional
from app.db.source import Place

_Function = ast.AsyncFunctionDef | ast.FunctionDef


@dataclass(frozen=True, slots=True)
class Declared:
    """A name with an annotation: an argument, a field or what a function returns."""

    name: str
    annotation: Any
    """Without its `| None`."""
    optional: bool
    """Whether None is allowed."""
    text: str
    """As the source has it: `bio: str | None`."""
    place: Place


@dataclass(frozen=True, slots=True)
class Signature:
    """A bound function and its statement."""

    name: str
    """The file's name and the function's: `articles.list_feed`."""
    query: Query
    queries: Queries
    module: ModuleType
    place: Place
    """Where the function is defined."""
    returns: Declared
    arguments: tuple[Declared, ...]
    """In the order of the placeholders."""
    columns: tuple[Declared, ...]
    """What each column fills, by its name; a scalar is one column of any name."""

    @property
    def is_scalar(self) -> bool:
        """Whether a row is one value."""
        return self.query.row_type is not None and self.query.row_type.is_scalar


def read_signatures(modules: Sequence[ModuleType]) -> Iterator[Signature]:
    """The functions of these modules that are bound to statements."""
    for module in modules:
        for queries in bound_files(module):
            for query in queries.bound.values():
                yield _signature(module, queries, query)


def bound_files(module: ModuleType) -> list[Queries]:
    """The SQL files that a module binds functions to; not those that it imported from another module."""
    found = {id(value): value for value in vars(module).values() if isinstance(value, Queries)}
    functions = [value for value in vars(module).values() if inspect.isfunction(value)]
    own = {function.__name__ for function in functions if function.__module__ == module.__name__}
    return [queries for queries in found.values() if own >= set(queries.bound)]


def _signature(module: ModuleType, queries: Queries, query: Query) -> Signature:
    function = _original(module, query.function)
    node = _definition(module, query.function)
    path = Path(inspect.getfile(function))
    hints = get_type_hints(function)
    arguments = {
        argument.arg: _declared(argument.arg, hints[argument.arg], argument.annotation, f"{argument.arg}: ", path)
        for argument in node.args.kwonlyargs
    }
    returns = _declared("return", hints["return"], node.returns, "-> ", path)
    return Signature(
        name=f"{queries.path.stem}.{query.function}",
        query=query,
        queries=queries,
        module=module,
        place=_place(path, node.lineno, node.col_offset),
        returns=returns,
        arguments=tuple(arguments[name] for name in query.parameters),
        columns=tuple(_columns(query, returns)),
    )


def _original(module: ModuleType, name: str) -> Callable[..., Any]:
    functions = (value for value in vars(module).values() if inspect.isfunction(value))
    return inspect.unwrap(next(function for function in functions if function.__name__ == name))


def _parsed(path: Path) -> ast.Module:
    return _parsed_text(path.read_text(encoding="utf-8"))


@cache
def _parsed_text(text: str) -> ast.Module:
    return ast.parse(text)


def _definition(module: ModuleType, name: str) -> _Function:
    # The code object begins at the first decorator.
    line = _original(module, name).__code__.co_firstlineno
    functions = (node for node in ast.walk(_parsed(Path(module.__file__ or ""))) if isinstance(node, _Function))
    return next(
        node
        for node in functions
        if node.name == name and line in {node.lineno, *(decorator.lineno for decorator in node.decorator_list)}
    )


def _declared(name: str, hint: Any, annotation: ast.expr | None, before: str, path: Path) -> Declared:
    if annotation is None:
        raise LookupError(f"{path}: {name} has no annotation")
    inner, optional = split_optional(hint)
    place = _place(path, annotation.lineno, annotation.col_offset)
    return Declared(name, inner, optional, before + ast.unparse(annotation), place)


def _place(path: Path, line: int, column: int) -> Place:
    source = path.read_text(encoding="utf-8").splitlines()[line - 1]
    return Place(path, line, len(source.encode()[:column].decode()) + 1, source)


def _columns(query: Query, returns: Declared) -> Iterator[Declared]:
    if query.row_type is None:
        return
    row_type, optional = split_optional(query.row_type.type)
    if query.row_type.is_scalar:
        # A null in `-> str | None` is the None that the type allows.
        nullable = optional or query.cardinality == "optional"
        yield dataclasses.replace(returns, name="", annotation=row_type, optional=nullable)
    else:
        yield from _fields(row_type, "")


def _fields(row_type: Any, prefix: str) -> Iterator[Declared]:
    hints = get_type_hints(row_type)
    for field in dataclasses.fields(row_type):
        if not field.init:
            continue
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _fields(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield _field(row_type, field.name, hints[field.name], prefix)


def _field(row_type: Any, name: str, hint: Any, prefix: str) -> Declared:
    owner = next(cls for cls in row_type.__mro__ if name in inspect.get_annotations(cls))
    path = Path(inspect.getfile(owner))
    classes = (
        node for node in ast.walk(_parsed(path)) if isinstance(node, ast.ClassDef) and node.name == owner.__name__
    )
    lines = (line for node in classes for line in node.body if isinstance(line, ast.AnnAssign))
    line = next(line for line in lines if ast.unparse(line.target) == name)
    return _declared(prefix + name, hint, line.annotation, f"{owner.__name__}.{name}: ", path)
