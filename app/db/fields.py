"""The fields of a row type, and which columns fill them."""

import dataclasses
from collections.abc import Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from app.db.errors import BindingError


def fields_of(row_type: Any) -> list[tuple[str, Any]]:
    """The fields that the constructor takes and their types, in the order it takes them."""
    parameters = row_type.__dataclass_params__
    if not parameters.frozen or "__slots__" not in vars(row_type):
        raise BindingError(f"{row_type.__name__} holds rows: declare it @dataclass(frozen=True, slots=True)")
    hints = get_type_hints(row_type)
    fields = [field for field in dataclasses.fields(row_type) if field.init]
    return [(field.name, hints[field.name]) for field in sorted(fields, key=lambda field: bool(field.kw_only))]


def nested_row(annotation: Any) -> Any:
    """The dataclass of a field that holds a row, be it optional; None for any other field."""
    inner, _ = split_optional(annotation)
    return inner if dataclasses.is_dataclass(inner) else None


def is_composite(column: str, returned: Sequence[str]) -> bool:
    """Whether a nested row comes as one value, not as columns with its name and a dot before theirs."""
    return column in returned and not any(name.startswith(f"{column}.") for name in returned)


def split_optional(annotation: Any) -> tuple[Any, bool]:
    """`(T, True)` for `T | None`, `(annotation, False)` for anything else."""
    if get_origin(annotation) not in (UnionType, Union):
        return annotation, False
    members = [member for member in get_args(annotation) if member is not type(None)]
    if len(members) == len(get_args(annotation)):
        return annotation, False
    return (members[0] if len(members) == 1 else Union[tuple(members)]), True  # noqa: UP007 - built at run time
