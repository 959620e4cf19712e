"""The fields of a row type, and which columns fill them."""

import dataclasses
from collections.abc import Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from app.db.binding.annotations import members
from app.db.errors import BindingError


def fields_of(row_type: Any) -> list[tuple[str, Any]]:
    """Return names and types of the constructor's parameters, in their order. Raises BindingError for another class."""
    parameters = row_type.__dataclass_params__
    if not parameters.frozen or "__slots__" not in vars(row_type):
        raise BindingError(f"{row_type.__name__} holds rows: declare it @dataclass(frozen=True, slots=True)")
    hints = get_type_hints(row_type)
    fields = [field for field in dataclasses.fields(row_type) if field.init]
    return [(field.name, hints[field.name]) for field in sorted(fields, key=lambda field: bool(field.kw_only))]


def nested_row(annotation: Any) -> Any:
    """Return the dataclass of a field that holds a row or None; None for any other field."""
    inner, _ = split_optional(annotation)
    return inner if dataclasses.is_dataclass(inner) else None


def is_composite(column: str, returned: Sequence[str]) -> bool:
    """Return whether a nested row is one composite value, instead of columns named `{column}.{field}`."""
    return column in returned and not any(name.startswith(f"{column}.") for name in returned)


def split_optional(annotation: Any) -> tuple[Any, bool]:
    """Return `(T, True)` for `T | None` and `(annotation, False)` for anything else."""
    if get_origin(annotation) not in (UnionType, Union):
        return annotation, False
    members = [member for member in get_args(annotation) if member is not type(None)]
    if len(members) == len(get_args(annotation)):
        return annotation, False
    return (members[0] if len(members) == 1 else Union[tuple(members)]), True  # noqa: UP007 - built at run time


def composite_fields(annotation: Any) -> dict[str, Any]:
    """Return the fields and types of the only dataclass among the members of an annotation; empty if there is none."""
    found = [member for member in members(annotation) if is_dataclass_type(member)]
    if len(found) != 1:
        return {}
    hints = get_type_hints(found[0])
    return {field.name: hints[field.name] for field in dataclasses.fields(found[0])}


def is_dataclass_type(member: Any) -> bool:
    """Return whether a member of an annotation is a dataclass."""
    return isinstance(member, type) and dataclasses.is_dataclass(member)
