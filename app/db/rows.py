"""Rows become dataclasses: constructors are compiled once for the columns that a statement returns."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from asyncpg import Record

from app.db.construction import Construction
from app.db.errors import BindingError
from app.db.fields import fields_of, is_composite, nested_row, split_optional
from app.db.moments import moments_in
from app.db.shapes import Shape
from app.db.types import column_problem

__all__ = ["RowBuilder", "RowType", "split_optional"]

RowBuilder = Callable[[Record], Any]


class RowType:
    """What one row becomes: a frozen slots dataclass, nested ones included, or a scalar."""

    def __init__(self, row_type: Any) -> None:
        self.type = row_type
        self.is_scalar = not dataclasses.is_dataclass(row_type)
        self.columns = () if self.is_scalar else tuple(_columns(row_type))

    def builder(self, columns: Sequence[str]) -> RowBuilder:
        """A function from a record with these columns to a row.

        Raises BindingError where the columns are not exactly the fields; their order does not matter.
        """
        return self._compiled(columns, "def build(r): return {row}")

    def list_builder(
        self, columns: Sequence[str], shapes: Mapping[str, Shape] | None = None
    ) -> Callable[[Sequence[Record]], list[Any]]:
        """A function from records with these columns to rows, without a call for each; BindingError as builder()."""
        return self._compiled(columns, "def build(records): return [{row} for r in records]", shapes)

    def check_types(self, shapes: Mapping[str, Shape]) -> None:
        """BindingError where the driver makes something else of a column than the field is declared to be."""
        hints = dict.fromkeys(shapes, self.type) if self.is_scalar else dict(_annotated(self.type))
        for name, shape in shapes.items():
            problem = column_problem(hints.get(name, Any), shape)
            if problem:
                raise BindingError(f"column {name!r} {problem}")

    def _compiled(self, columns: Sequence[str], template: str, shapes: Mapping[str, Shape] | None = None) -> Any:
        construction = Construction([moments_in((shapes or {}).get(name)) for name in columns])
        if self.is_scalar:
            _check_scalar(columns)
            source = construction.value(self.type, construction.column(0))
        else:
            self._check(columns)
            source = construction.row(self.type, columns)
        return construction.names.compiled(template.format(row=source), "build")

    def _check(self, columns: Sequence[str]) -> None:
        expected = list(_columns(self.type, columns))
        faults = [f"no column for {_field(self.type, name)}" for name in expected if name not in columns]
        faults += [f"no field for column {name!r}" for name in columns if name not in expected]
        faults += [f"column {name!r} comes twice" for name in sorted({c for c in columns if columns.count(c) > 1})]
        if faults:
            raise BindingError(f"{self.type.__name__} does not fit the columns: {'; '.join(faults)}")


def _columns(row_type: Any, returned: Sequence[str] = (), prefix: str = "") -> list[str]:
    """The columns that fill the fields; one of a nested row's own name, a composite, stands for the whole row."""
    names: list[str] = []
    for name, annotation in fields_of(row_type):
        nested = nested_row(annotation)
        if nested is None or is_composite(prefix + name, returned):
            names.append(prefix + name)
        else:
            names += _columns(nested, returned, f"{prefix}{name}.")
    return names


def _annotated(row_type: Any, prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, annotation in fields_of(row_type):
        nested = nested_row(annotation)
        if nested is None:
            found.append((prefix + name, annotation))
        else:
            optional = split_optional(annotation)[1]
            inner = _annotated(nested, f"{prefix}{name}.")
            found += [(column, each | None) for column, each in inner] if optional else inner
    return found


def _field(row_type: Any, column: str) -> str:
    return f"field {row_type.__name__}.{column}"


def _check_scalar(columns: Sequence[str]) -> None:
    if len(columns) != 1:
        raise BindingError(f"a scalar is one column; the statement returns {len(columns)}: {', '.join(columns)}")
