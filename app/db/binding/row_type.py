"""Builds rows as dataclasses or scalars. Constructors are compiled once for the columns that a statement returns."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from asyncpg import Record

from app.db.binding.infinity import infinity_conversion
from app.db.binding.pg_types import TypeInfo
from app.db.binding.row_construction import Construction
from app.db.binding.row_fields import fields_of, is_composite, nested_row, split_optional
from app.db.binding.type_checks import column_problem
from app.db.errors import BindingError


class RowType:
    """What one row becomes: a frozen slots dataclass, nested ones included, or a scalar."""

    def __init__(self, row_type: Any) -> None:
        self.type = row_type
        self.is_scalar = not dataclasses.is_dataclass(row_type)
        self.columns = () if self.is_scalar else tuple(_columns(row_type))

    def list_builder(
        self, columns: Sequence[str], infos: Mapping[str, TypeInfo] | None = None
    ) -> Callable[[Sequence[Record]], list[Any]]:
        """Return a function from records with these columns to rows, without a function call for each row.

        Raises BindingError when the columns are not exactly the fields; their order does not matter.
        """
        construction = Construction([infinity_conversion((infos or {}).get(name)) for name in columns])
        if self.is_scalar:
            _check_scalar(columns)
            row = construction.value(self.type, construction.column(0))
        else:
            self._check(columns)
            row = construction.row(self.type, columns)
        return construction.names.compiled(f"def build(records): return [{row} for r in records]", "build")

    def check_types(self, infos: Mapping[str, TypeInfo]) -> None:
        """Raise BindingError when the driver reads a column as another type than its field has."""
        hints = dict.fromkeys(infos, self.type) if self.is_scalar else dict(annotated_columns(self.type))
        for name, info in infos.items():
            problem = column_problem(hints.get(name, Any), info)
            if problem:
                raise BindingError(f"column {name!r} {problem}")

    def _check(self, columns: Sequence[str]) -> None:
        expected = list(_columns(self.type, columns))
        faults = [f"no column for {_field(self.type, name)}" for name in expected if name not in columns]
        faults += [f"no field for column {name!r}" for name in columns if name not in expected]
        faults += [f"column {name!r} comes twice" for name in sorted({c for c in columns if columns.count(c) > 1})]
        if faults:
            raise BindingError(f"{self.type.__name__} does not fit the columns: {'; '.join(faults)}")


def _columns(row_type: Any, returned: Sequence[str] = (), prefix: str = "") -> list[str]:
    """Return the columns that fill the fields. A composite column with the name of a nested row fills all of it."""
    names: list[str] = []
    for name, annotation in fields_of(row_type):
        nested = nested_row(annotation)
        if nested is None or is_composite(prefix + name, returned):
            names.append(prefix + name)
        else:
            names += _columns(nested, returned, f"{prefix}{name}.")
    return names


def annotated_columns(row_type: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Return the columns that fill a row, nested ones as `author.name`, and the annotations of their fields."""
    found: list[tuple[str, Any]] = []
    for name, annotation in fields_of(row_type):
        nested = nested_row(annotation)
        if nested is None:
            found.append((prefix + name, annotation))
        else:
            optional = split_optional(annotation)[1]
            inner = annotated_columns(nested, f"{prefix}{name}.")
            found += [(column, each | None) for column, each in inner] if optional else inner
    return found


def _field(row_type: Any, column: str) -> str:
    return f"field {row_type.__name__}.{column}"


def _check_scalar(columns: Sequence[str]) -> None:
    if len(columns) != 1:
        raise BindingError(f"a scalar is one column; the statement returns {len(columns)}: {', '.join(columns)}")
