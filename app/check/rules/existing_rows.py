"""Finds a row type of the project that a statement's columns fill exactly."""

import dataclasses
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

from app.check.postgres.describe import ResultColumn
from app.check.rules.type_fit import misfit
from app.db.binding.row_fields import split_optional
from app.db.binding.row_type import annotated_columns
from app.db.errors import BindingError


def fitting_row(modules: Sequence[ModuleType], columns: Sequence[ResultColumn]) -> type | None:
    """Return the first row type of the modules with exactly these columns, types and nulls; None if there is none."""
    if len(columns) < 2:
        return None
    return next((row for row in _row_types(modules) if _fits(row, columns)), None)


def _row_types(modules: Sequence[ModuleType]) -> Iterator[type]:
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, type) and dataclasses.is_dataclass(value) and value.__module__ == module.__name__:
                yield value


def _fits(row_type: type, columns: Sequence[ResultColumn]) -> bool:
    try:
        annotations = dict(annotated_columns(row_type))
    except BindingError:
        # It holds something else than rows.
        return False
    return annotations.keys() == {column.name for column in columns} and all(
        _holds(annotations[column.name], column) for column in columns
    )


def _holds(annotation: Any, column: ResultColumn) -> bool:
    inner, optional = split_optional(annotation)
    return optional is not column.never_null and misfit(column.type, inner, writes=False) is None
