"""PostgreSQL's types against annotations: what the driver would convert in silence, found when a text is prepared."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, cast, get_args, get_origin
from uuid import UUID

import asyncpg

from app.db.annotations import Reason, element, members, refusal
from app.db.conversions import composite_fields
from app.db.shapes import Shape

READS: dict[str, type] = {
    "int2": int, "int4": int, "int8": int, "oid": int, "numeric": Decimal, "float4": float, "float8": float,
    "bool": bool, "text": str, "varchar": str, "bpchar": str, "name": str, "bytea": bytes, "uuid": UUID, "date": date,
    "time": time, "timetz": time, "timestamp": datetime, "timestamptz": datetime, "interval": timedelta,
}  # fmt: skip
"""What the driver makes of PostgreSQL's own types; of the others we promise nothing."""

_WRITES: dict[str, tuple[type, ...]] = {"numeric": (int,), "float4": (int,), "float8": (int,)}
# Beside what it reads, what it stores without a loss. A float in a numeric column is not: 1.9 becomes 1.8999999….

_AWARE = {"timestamptz": True, "timetz": True, "timestamp": False, "time": False}
_KNOWN = frozenset(READS.values())


def parameter_problem(annotation: Any, shape: Shape) -> str | None:
    """Why an argument that is annotated so does not fit a parameter of this type; None where it may."""
    if shape.name == "record":
        return "is a record without a type here: cast it to a composite, `:name::type`"
    if problem := _composite_problem(annotation, shape):
        return problem
    for inner, of in _leaves(annotation, shape):
        allowed = {READS[of.name], *_WRITES.get(of.name, ())} if of.name in READS else _KNOWN
        kinds = [_kind(member) for member in members(inner)]
        if of.kind == "array" and of.of and of.of.name in READS and any(kind in _KNOWN for kind in kinds):
            return f"is {of.name} here: declare it list[{READS[of.of.name].__name__}]"
        if of.name in READS and (_has_arrays(inner) or any(kind in _KNOWN - allowed for kind in kinds)):
            return f"is {of.name} here: declare it {READS[of.name].__name__}"
    return None


def column_problem(annotation: Any, shape: Shape) -> str | None:
    """Why a field that is annotated so does not fit a column of this type; None where it may."""
    for inner, of in _leaves(annotation, shape):
        kinds = [_kind(member) for member in members(inner) if member is not type(None)]
        if not _may_hold(of, inner, kinds):
            names = " | ".join(kind.__name__ for kind in kinds if kind) or _name(inner)
            return f"is {shape.name}, the field is {names}"
    return None


def guards(annotations: Iterable[Any], shapes: Sequence[Shape]) -> list[tuple[int, Reason]]:
    """For each parameter whose values must be looked at, because its annotation leaves something open, how."""
    found: list[tuple[int, Reason]] = []
    for index, (annotation, shape) in enumerate(zip(annotations, shapes, strict=True)):
        reason = _guard(annotation, shape)
        if reason:
            found.append((index, reason))
    return found


def _leaves(annotation: Any, shape: Shape) -> Iterable[tuple[Any, Shape]]:
    """The annotations and types that stand against each other once both sides hold no more in the same way."""
    arrays = [element(member) for member in members(annotation) if element(member) is not None]
    if shape.kind == "array" and shape.of is not None and len(arrays) == 1:
        # An array may have several dimensions, whatever its type says.
        is_nested = _has_arrays(arrays[0]) and shape.of.kind == "scalar"
        yield from _leaves(arrays[0], shape if is_nested else shape.of)
    elif shape.kind == "composite" and (fields := composite_fields(annotation)):
        for name, of in shape.attributes:
            yield from _leaves(fields.get(name, Any), of)
    elif shape.kind == "composite" and (parts := _parts(annotation, len(shape.attributes))):
        for part, (_, of) in zip(parts, shape.attributes, strict=True):
            yield from _leaves(part, of)
    elif not (shape.kind == "array" and arrays):
        yield annotation, shape


def _composite_problem(annotation: Any, shape: Shape) -> str | None:
    """Why a dataclass does not fit a composite, or one in an array those in it; None where it does."""
    for member in members(annotation):
        if shape.kind == "array" and shape.of and (of := element(member)) is not None:
            return _composite_problem(of, shape.of)
    fields = composite_fields(annotation)
    if not fields:
        return None
    if shape.kind != "composite":
        # A type that only its codec knows may take one.
        is_known = shape.kind != "scalar" or shape.name in READS or shape.name in {"json", "jsonb"}
        return f"is {shape.name} here, and a dataclass is sent as a composite" if is_known else None
    attributes = dict(shape.attributes)
    faults = [f"no field for attribute {name!r}" for name in attributes if name not in fields]
    faults += [f"no attribute for field {name!r}" for name in fields if name not in attributes]
    if faults:
        return f"does not fit the composite {shape.name}: {'; '.join(faults)}"
    inner = ((name, _composite_problem(fields[name], of)) for name, of in shape.attributes)
    return next((f"has a field {name!r} that {problem}" for name, problem in inner if problem), None)


def _parts(annotation: Any, count: int) -> tuple[Any, ...]:
    """The annotations of `tuple[str, int]`, where there are so many; none of any other annotation."""
    tuples = [member for member in members(annotation) if get_origin(member) is tuple]
    parts = get_args(tuples[0]) if len(tuples) == 1 else ()
    return parts if len(parts) == count and Ellipsis not in parts else ()


def _has_arrays(annotation: Any) -> bool:
    return any(element(member) is not None for member in members(annotation))


def _may_hold(shape: Shape, annotation: Any, kinds: list[Any]) -> bool:
    """Whether an annotation that is read from one scalar, array or composite may have what the driver makes of it."""
    if shape.kind == "array":
        return not kinds or any(kind not in _KNOWN for kind in kinds)
    read = READS.get(shape.name)
    if read is None:
        return True
    if _has_arrays(annotation) and all(kind is None or kind in _KNOWN for kind in kinds):
        return read in kinds
    return read in kinds or (read is int and float in kinds) or any(kind not in _KNOWN for kind in kinds)


def _name(annotation: Any) -> str:
    return str(annotation).replace("typing.", "")


def _guard(annotation: Any, shape: Shape) -> Reason | None:
    leaf = shape
    while leaf.kind == "array" and leaf.of is not None:
        leaf = leaf.of
    if leaf.kind == "scalar" and leaf.name not in _AWARE:
        # `Any` says nothing of the value, and the driver would take True for an integer.
        open_ = any({Any, object} & set(members(inner)) for inner, _ in _leaves(annotation, shape))
        return _strict(shape) if open_ else None
    return _strict(shape)


def _strict(shape: Shape) -> Reason | None:
    """Refuses a value that the driver would store as another one; None where there is none such."""
    match shape.kind:
        case "scalar":
            if shape.name in _AWARE:
                return _of_time(shape.name)
            return refusal(_storable(shape.name) | None) if shape.name in READS else None
        case "composite":
            reasons = [(name, _strict(of)) for name, of in shape.attributes]
            return _attributes_refusal(reasons) if any(reason for _, reason in reasons) else None
        case _:
            inner = _strict(shape.of) if shape.of else None
            if inner is None:
                return None
            if shape.kind == "array":
                return _each(inner)
            return _bounds_refusal(inner) if shape.kind == "range" else _each(_bounds_refusal(inner))


def _storable(name: str) -> Any:
    storable: Any = READS[name]
    for other in _WRITES.get(name, ()):
        storable |= other
    return storable


def _of_time(name: str) -> Reason:
    """A value of the type itself, with the time zone that PostgreSQL's type wants, or without."""
    of_type = refusal(READS[name] | None)
    aware = _AWARE[name]
    problem = f"needs a time zone for {name}" if aware else f"must have no time zone for {name}"

    def refuse(value: object) -> str | None:
        mistaken = of_type(value)
        if mistaken or value is None:
            return mistaken
        has_zone = cast("datetime | time", value).tzinfo is not None
        return None if has_zone is aware else problem

    return refuse


def _bounds_refusal(of_bound: Reason) -> Reason:
    def refuse(value: object) -> str | None:
        bounds: tuple[Any, ...] = ()
        if isinstance(value, asyncpg.Range):
            found = cast("asyncpg.Range[Any]", value)
            bounds = (found.lower, found.upper)
        elif isinstance(value, (list, tuple)):
            # What the driver takes for a range as well: `(1, 2)`.
            bounds = tuple(cast("Sequence[Any]", value))
        return next((f"has a bound that {problem}" for bound in bounds if (problem := of_bound(bound))), None)

    return refuse


def _attributes_refusal(reasons: Sequence[tuple[str, Reason | None]]) -> Reason:
    """For a composite by position, or by name."""

    def refuse(value: object) -> str | None:
        if isinstance(value, Mapping):
            found = cast("Mapping[str, Any]", value)
            pairs = [(name, reason, found.get(name)) for name, reason in reasons]
        elif isinstance(value, (tuple, list, asyncpg.Record)):
            items = tuple(cast("Sequence[Any]", value))
            pairs = [(name, reason, item) for (name, reason), item in zip(reasons, items, strict=False)]
        else:
            return None
        wrong = ((name, problem) for name, reason, item in pairs if reason and (problem := reason(item)))
        return next((f"attribute {name} {problem}" for name, problem in wrong), None)

    return refuse


def _each(reason: Reason) -> Reason:
    """The same for the items of an array, however deep; within one, only a list is another dimension of it."""

    def refuse(value: object) -> str | None:
        if not isinstance(value, (list, tuple, set, frozenset)):
            return reason(value)
        for number, item in enumerate(cast("Iterable[object]", value), 1):
            if problem := (refuse if isinstance(item, list) else reason)(cast("object", item)):
                return f"item {number} {problem}"
        return None

    return refuse


def _kind(member: Any) -> Any:
    """The class that decides; None for what is no class, and for None itself."""
    if member is type(None) or not isinstance(member, type):
        return None
    if not issubclass(member, Enum):
        return cast("Any", member)
    mixed_in = next((kind for kind in (str, int) if issubclass(member, kind)), None)
    values: set[Any] = {type(each.value) for each in member}
    return mixed_in or (values.pop() if len(values) == 1 else member)
