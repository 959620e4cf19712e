"""Which Python annotations fit a type of PostgreSQL."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, StrEnum
from typing import Any, Literal, get_args, get_origin, is_typeddict

import asyncpg

from app.check.postgres.server_types import JSON, ServerType, without_domain
from app.check.python.type_text import python_type
from app.db.binding.annotations import ARRAYS, element, members
from app.db.binding.pg_types import SCALARS_BY_SQL_NAME, Scalar
from app.db.binding.row_fields import fields_of, split_optional

_JSON_VALUES = (dict, list, str, int, float, bool, object, type(None))


def misfit(type_: ServerType, annotation: Any, *, writes: bool) -> str | None:
    """Return why a value of the annotation cannot be written to the type, or read from it.

    Returns None if it fits. Nulls are judged elsewhere: the annotation has no `| None`.
    """
    alternatives = list(members(annotation))
    if type_.kind == "domain" and type_.base is not None:
        return misfit(type_.base, annotation, writes=writes)
    if type_.kind == "enum":
        return _enum_misfit(type_, alternatives[0], writes=writes)
    fitting = [_fits(type_, member, writes=writes) for member in alternatives]
    fits = all(fitting) if writes else any(fitting)
    return None if fits else f"{type_.name} {'takes' if writes else 'is read as'} {python_type(type_)}"


def required_parts(type_: ServerType, annotation: Any, name: str) -> Iterator[str]:
    """Yield the attributes of composites whose annotation does not allow None, as `name.attribute`."""
    type_ = without_domain(type_)
    of = element(annotation)
    if type_.kind == "array" and type_.base is not None and of is not None:
        yield from required_parts(type_.base, split_optional(of)[0], name)
    if type_.kind != "composite":
        return
    if dataclasses.is_dataclass(annotation):
        parts = dict(fields_of(annotation))
    else:
        parts = dict(zip(dict(type_.fields), get_args(annotation), strict=False))
    for attribute, inner_type in type_.fields:
        inner, optional = split_optional(parts.get(attribute, None | Any))
        if not optional:
            yield f"{name}.{attribute}"
        yield from required_parts(inner_type, inner, f"{name}.{attribute}")


def _fits(type_: ServerType, annotation: Any, *, writes: bool) -> bool:
    origin = get_origin(annotation) or annotation
    if type_.kind == "array" and type_.base is not None:
        return _array_fits(type_.base, annotation, writes=writes)
    if type_.kind == "composite":
        return _composite_fits(type_, annotation, writes=writes)
    if type_.kind == "multirange":
        ranges = get_args(annotation)
        return origin is list and ranges != () and all(_range_fits(type_, each, writes=writes) for each in ranges)
    return _simple_fits(type_, annotation, writes=writes)


def _simple_fits(type_: ServerType, annotation: Any, *, writes: bool) -> bool:
    origin = get_origin(annotation) or annotation
    if type_.kind == "range":
        return _range_fits(type_, annotation, writes=writes)
    if type_.name in JSON:
        return _json_fits(annotation)
    if type_.name == "record":
        return origin in (asyncpg.Record, tuple)
    return _scalar_fits(type_.name, annotation, writes=writes)


def _also_read(scalar: Scalar | None) -> tuple[Any, ...]:
    # To a type checker an int is a float.
    return (float,) if scalar and scalar.name in {"int2", "int4", "int8"} else ()


def _scalar_fits(name: str, annotation: Any, *, writes: bool) -> bool:
    if get_origin(annotation) is Literal:
        return writes and all(_scalar_fits(name, type(value), writes=True) for value in get_args(annotation))
    scalar = SCALARS_BY_SQL_NAME.get(name)
    types = scalar.reads if scalar else (str,)
    others = (scalar.also_stores if scalar else ()) if writes else _also_read(scalar)
    # A member of StrEnum or IntEnum is a str or an int, and stored as one; a bool is an int that would be stored as 1.
    is_enum = isinstance(annotation, type) and issubclass(annotation, Enum) and issubclass(annotation, types)
    return is_enum or annotation in (*types, *others)


def _array_fits(base: ServerType, annotation: Any, *, writes: bool) -> bool:
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    if get_origin(annotation) not in ARRAYS or len(arguments) != 1:
        return False
    # A tuple with a type for each place is a composite.
    if get_origin(annotation) is tuple and Ellipsis not in get_args(annotation):
        return False
    return misfit(base, split_optional(arguments[0])[0], writes=writes) is None


def _composite_fits(type_: ServerType, annotation: Any, *, writes: bool) -> bool:
    if dataclasses.is_dataclass(annotation) and not writes:
        found = dict(fields_of(annotation))
        return found.keys() == dict(type_.fields).keys() and all(
            misfit(field, split_optional(found[name])[0], writes=False) is None for name, field in type_.fields
        )
    if get_origin(annotation) is not tuple:
        return annotation in ((tuple,) if writes else (tuple, asyncpg.Record))
    pairs = zip(get_args(annotation), type_.fields, strict=False)
    return len(get_args(annotation)) == len(type_.fields) and all(
        misfit(field, split_optional(member)[0], writes=writes) is None for member, (_, field) in pairs
    )


def _range_fits(type_: ServerType, annotation: Any, *, writes: bool) -> bool:
    if (get_origin(annotation) or annotation) is not asyncpg.Range:
        return False
    bounds = [split_optional(bound)[0] for bound in get_args(annotation)]
    return type_.base is None or all(misfit(type_.base, bound, writes=writes) is None for bound in bounds)


def _json_fits(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    if origin in (Any, Literal) or is_typeddict(annotation):
        return True
    if origin in (dict, list, Mapping, Sequence):
        return all(_json_fits(member) for argument in get_args(annotation) for member in members(argument))
    return origin in _JSON_VALUES


def _enum_misfit(type_: ServerType, annotation: Any, *, writes: bool) -> str | None:
    values = _enum_values(annotation)
    if values is None:
        return None if annotation is str else f"{type_.name} is an enum: a StrEnum of {_list(type_.labels)}"
    wrong = [value for value in values if value not in type_.labels]
    if writes and wrong:
        return f"{type_.name} has no {_list(wrong)}; it has {_list(type_.labels)}"
    lacking = [label for label in type_.labels if label not in values]
    if not writes and lacking:
        return f"{type_.name} can also be {_list(lacking)}"
    return None


def _enum_values(annotation: Any) -> list[str] | None:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return [member.value for member in annotation]
    return None


def _list(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels))
