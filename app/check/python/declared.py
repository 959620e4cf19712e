"""Find what the source of a module declares: annotations with their file, line and column."""

import ast
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from app.db.binding.annotations import refusal
from app.db.binding.row_fields import fields_of, is_composite, nested_row, split_optional
from app.db.sql.places import Place

Function = ast.AsyncFunctionDef | ast.FunctionDef


@dataclass(frozen=True, slots=True)
class Declared:
    """A name with an annotation: an argument, a field or what a function returns."""

    name: str
    annotation: Any
    """Without its `| None`."""
    optional: bool
    """Whether the annotation allows None."""
    text: str
    """As the source has it: `bio: str | None`."""
    place: Place
    optional_row: str = ""
    """The outermost nested row that it is a field of and that may be None, such as `owner`; empty where none may be."""

    @property
    def allows_none(self) -> bool:
        """Whether None is allowed: by `| None` or `Any`."""
        return self.optional or refusal(self.annotation)(None) is None


def original(module: ModuleType, name: str) -> Callable[..., Any]:
    """Return the function of this name as it was before binding."""
    functions = (value for value in vars(module).values() if inspect.isfunction(value))
    return inspect.unwrap(next(function for function in functions if function.__name__ == name))


def definition(module: ModuleType, name: str) -> Function:
    """Return the syntax tree of the function of this name."""
    # The code object begins at the first decorator.
    line = original(module, name).__code__.co_firstlineno
    functions = (node for node in ast.walk(_parsed(Path(module.__file__ or ""))) if isinstance(node, Function))
    return next(
        node
        for node in functions
        if node.name == name and line in {node.lineno, *(decorator.lineno for decorator in node.decorator_list)}
    )


def declared(name: str, hint: Any, annotation: ast.expr | None, before: str, path: Path) -> Declared:
    """Return an annotation as it is in the source, shown with the text `before` it."""
    if annotation is None:
        raise LookupError(f"{path}: {name} has no annotation")
    inner, optional = split_optional(hint)
    place = place_of(path, annotation.lineno, annotation.col_offset)
    return Declared(name, inner, optional, before + ast.unparse(annotation), place)


def declared_fields(
    row_type: Any, columns: Sequence[str], prefix: str = "", *, optional_row: str = ""
) -> Iterator[Declared]:
    """Return the fields of a row type by the names of their columns. `columns` are those of the result.

    A nested row is its own fields, unless a column of its name is among the result's: then that is a composite.
    """
    for name, annotation in fields_of(row_type):
        nested = nested_row(annotation)
        if nested is None or is_composite(prefix + name, columns):
            yield _field(row_type, name, annotation, prefix, optional_row)
        else:
            own = prefix + name if split_optional(annotation)[1] else ""
            yield from declared_fields(nested, columns, f"{prefix}{name}.", optional_row=optional_row or own)


def optional_rows(row_type: Any, columns: Sequence[str], prefix: str = "") -> Iterator[Declared]:
    """Return the nested rows that may be None, by the prefix of their columns."""
    for name, annotation in fields_of(row_type):
        nested = nested_row(annotation)
        if nested is not None and not is_composite(prefix + name, columns):
            if split_optional(annotation)[1]:
                yield _field(row_type, name, annotation, prefix, "")
            yield from optional_rows(nested, columns, f"{prefix}{name}.")


def place_of(path: Path, line: int, column: int) -> Place:
    """Return the place of a node of a syntax tree, whose columns count bytes from 0."""
    source = path.read_text(encoding="utf-8").splitlines()[line - 1]
    return Place(path, line, len(source.encode()[:column].decode()) + 1, source)


def _field(row_type: Any, name: str, hint: Any, prefix: str, optional_row: str) -> Declared:
    owner = next(cls for cls in row_type.__mro__ if name in inspect.get_annotations(cls))
    path = Path(inspect.getfile(owner))
    classes = (node for node in ast.walk(_parsed(path)) if isinstance(node, ast.ClassDef))
    lines = (line for node in classes if node.name == owner.__name__ for line in node.body)
    line = next(line for line in lines if isinstance(line, ast.AnnAssign) and ast.unparse(line.target) == name)
    found = declared(prefix + name, hint, line.annotation, f"{owner.__name__}.{name}: ", path)
    return Declared(found.name, found.annotation, found.optional, found.text, found.place, optional_row)


def _parsed(path: Path) -> ast.Module:
    return _parsed_text(path.read_text(encoding="utf-8"))


@cache
def _parsed_text(text: str) -> ast.Module:
    return ast.parse(text)
