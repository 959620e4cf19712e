"""Rows become dataclasses: a constructor is compiled once for the columns that a statement returns."""

import dataclasses
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from asyncpg import Record

from app.db.errors import BindingError

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
        if self.is_scalar:
            return _scalar_builder(columns)
        self._check(columns)
        names: dict[str, Any] = {}
        source = _construction(self.type, "", {name: index for index, name in enumerate(columns)}, names)
        # The text is made of attribute names of classes in our own modules and of numbers; no input reaches it.
        return eval(f"lambda r: {source}", names)  # noqa: S307  # pyright: ignore[reportAny]

    def _check(self, columns: Sequence[str]) -> None:
        faults = [f"no column for {_field(self.type, name)}" for name in self.columns if name not in columns]
        faults += [f"no field for column {name!r}" for name in columns if name not in self.columns]
        faults += [f"column {name!r} comes twice" for name in sorted({c for c in columns if columns.count(c) > 1})]
        if faults:
            raise BindingError(f"{self.type.__name__} does not fit the columns: {'; '.join(faults)}")


def _columns(row_type: Any, prefix: str = "") -> list[str]:
    names: list[str] = []
    for name, annotation in _fields(row_type):
        if dataclasses.is_dataclass(annotation):
            names += _columns(annotation, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def _fields(row_type: Any) -> list[tuple[str, Any]]:
    """The fields that the constructor takes and their types, in the order it takes them."""
    parameters = row_type.__dataclass_params__
    if not parameters.frozen or "__slots__" not in vars(row_type):
        raise BindingError(f"{row_type.__name__} holds rows: declare it @dataclass(frozen=True, slots=True)")
    hints = get_type_hints(row_type)
    fields = [field for field in dataclasses.fields(row_type) if field.init]
    return [(field.name, hints[field.name]) for field in sorted(fields, key=lambda field: bool(field.kw_only))]


def _field(row_type: Any, column: str) -> str:
    return f"field {row_type.__name__}.{column}"


def _scalar_builder(columns: Sequence[str]) -> RowBuilder:
    if len(columns) != 1:
        raise BindingError(f"a scalar is one column; the statement returns {len(columns)}: {', '.join(columns)}")
    return lambda record: record[0]


def _construction(row_type: Any, prefix: str, positions: dict[str, int], names: dict[str, Any]) -> str:
    """Source text that constructs `row_type` from the record `r`, nested rows included."""
    alias = f"row_{len(names)}"
    names[alias] = row_type
    keyword_only = {field.name for field in dataclasses.fields(row_type) if field.kw_only}
    arguments: list[str] = []
    for name, annotation in _fields(row_type):
        if dataclasses.is_dataclass(annotation):
            value = _construction(annotation, f"{prefix}{name}.", positions, names)
        else:
            value = f"r[{positions[prefix + name]}]"
        arguments.append(f"{name}={value}" if name in keyword_only else value)
    return f"{alias}({', '.join(arguments)})"


def split_optional(annotation: Any) -> tuple[Any, bool]:
    """`(T, True)` for `T | None`, `(annotation, False)` for anything else."""
    if get_origin(annotation) not in (UnionType, Union):
        return annotation, False
    members = [member for member in get_args(annotation) if member is not type(None)]
    if len(members) == len(get_args(annotation)):
        return annotation, False
    return (members[0] if len(members) == 1 else Union[tuple(members)]), True  # noqa: UP007 - built at run time
