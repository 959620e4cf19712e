"""Checks annotations against PostgreSQL's types when a statement is prepared."""

from collections.abc import Iterable
from enum import Enum
from typing import Any, cast, get_args, get_origin

from app.db.binding.annotations import element, members
from app.db.binding.pg_types import STRICT_SCALARS, STRICT_TYPES, TypeInfo
from app.db.binding.row_fields import composite_fields


def parameter_problem(annotation: Any, info: TypeInfo) -> str | None:
    """Return why an argument with this annotation does not fit a parameter of this type; None if it does."""
    if info.name == "record":
        return "is a record without a type here: cast it to a composite, `:name::type`"
    if problem := _composite_problem(annotation, info):
        return problem
    for inner, of in leaves(annotation, info):
        scalar, items = STRICT_SCALARS.get(of.name), STRICT_SCALARS.get(of.of.name) if of.of else None
        kinds = STRICT_TYPES.intersection(_kind(member) for member in members(inner))
        if of.kind == "array" and items and kinds:
            return f"is {of.name} here: declare it list[{items.reads[0].__name__}]"
        if scalar and (_has_arrays(inner) or kinds.difference(scalar.reads, scalar.also_stores)):
            return f"is {of.name} here: declare it {scalar.reads[0].__name__}"
    return None


def column_problem(annotation: Any, info: TypeInfo) -> str | None:
    """Return why a field with this annotation does not fit a column of this type; None if it does."""
    for inner, of in leaves(annotation, info):
        kinds = [_kind(member) for member in members(inner) if member is not type(None)]
        if not _may_hold(of, inner, kinds):
            names = " | ".join(kind.__name__ for kind in kinds if kind) or _name(inner)
            return f"is {info.name}, the field is {names}"
    return None


def leaves(annotation: Any, info: TypeInfo) -> Iterable[tuple[Any, TypeInfo]]:
    """Return pairs of annotation and type, with arrays and composites on both sides taken apart."""
    arrays = [element(member) for member in members(annotation) if element(member) is not None]
    if info.kind == "array" and info.of is not None and len(arrays) == 1:
        # The type of an array does not say how many dimensions it has.
        is_nested = _has_arrays(arrays[0]) and info.of.kind == "scalar"
        yield from leaves(arrays[0], info if is_nested else info.of)
    elif info.kind == "composite" and (fields := composite_fields(annotation)):
        for name, of in info.attributes:
            yield from leaves(fields.get(name, Any), of)
    elif info.kind == "composite" and (parts := _parts(annotation, len(info.attributes))):
        for part, (_, of) in zip(parts, info.attributes, strict=True):
            yield from leaves(part, of)
    elif not (info.kind == "array" and arrays):
        yield annotation, info


def _composite_problem(annotation: Any, info: TypeInfo) -> str | None:
    """Return why a dataclass does not fit a composite, possibly inside an array; None if it does."""
    for member in members(annotation):
        if info.kind == "array" and info.of and (of := element(member)) is not None:
            return _composite_problem(of, info.of)
    fields = composite_fields(annotation)
    if not fields:
        return None
    if info.kind != "composite":
        # Only a codec knows whether another type accepts a dataclass.
        is_known = info.kind != "scalar" or info.name in STRICT_SCALARS or info.name in {"json", "jsonb"}
        return f"is {info.name} here, and a dataclass is sent as a composite" if is_known else None
    attributes = dict(info.attributes)
    faults = [f"no field for attribute {name!r}" for name in attributes if name not in fields]
    faults += [f"no attribute for field {name!r}" for name in fields if name not in attributes]
    if faults:
        return f"does not fit the composite {info.name}: {'; '.join(faults)}"
    inner = ((name, _composite_problem(fields[name], of)) for name, of in info.attributes)
    return next((f"has a field {name!r} that {problem}" for name, problem in inner if problem), None)


def _parts(annotation: Any, count: int) -> tuple[Any, ...]:
    """Return the parts of `tuple[str, int]` if there are `count` of them; otherwise nothing."""
    tuples = [member for member in members(annotation) if get_origin(member) is tuple]
    parts = get_args(tuples[0]) if len(tuples) == 1 else ()
    return parts if len(parts) == count and Ellipsis not in parts else ()


def _has_arrays(annotation: Any) -> bool:
    return any(element(member) is not None for member in members(annotation))


def _may_hold(info: TypeInfo, annotation: Any, kinds: list[Any]) -> bool:
    """Return whether a field with this annotation may hold what the driver makes of the type."""
    if info.kind == "array":
        return not kinds or any(kind not in STRICT_TYPES for kind in kinds)
    scalar = STRICT_SCALARS.get(info.name)
    if scalar is None:
        return True
    read = scalar.reads[0]
    if _has_arrays(annotation) and all(kind is None or kind in STRICT_TYPES for kind in kinds):
        return read in kinds
    return read in kinds or (read is int and float in kinds) or any(kind not in STRICT_TYPES for kind in kinds)


def _name(annotation: Any) -> str:
    return str(annotation).replace("typing.", "")


def _kind(member: Any) -> Any:
    """Return the class that decides; None for None itself and for annotations that are not classes."""
    if member is type(None) or not isinstance(member, type):
        return None
    if not issubclass(member, Enum):
        return cast("Any", member)
    mixed_in = next((kind for kind in (str, int) if issubclass(member, kind)), None)
    values: set[Any] = {type(each.value) for each in member}
    return mixed_in or (values.pop() if len(values) == 1 else member)
