"""PostgreSQL's types against annotations: what the driver would convert in silence, found when a text is prepared."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, cast
from uuid import UUID

import asyncpg

from app.db.annotations import Reason, element, members, refusal

READS: dict[str, type] = {
    "int2": int, "int4": int, "int8": int, "oid": int, "numeric": Decimal, "float4": float, "float8": float,
    "bool": bool, "text": str, "varchar": str, "bpchar": str, "name": str, "bytea": bytes, "uuid": UUID, "date": date,
    "time": time, "timetz": time, "timestamp": datetime, "timestamptz": datetime, "interval": timedelta,
}  # fmt: skip
"""What the driver makes of PostgreSQL's own types; of the others we promise nothing."""

_WRITES: dict[str, tuple[type, ...]] = {"numeric": (int,), "float4": (int,), "float8": (int,)}
# Beside what it reads, what it stores without a loss. A float in a numeric column is not: 1.9 becomes 1.8999999….

_AWARE = {"timestamptz": True, "timetz": True, "timestamp": False, "time": False}
_BOUNDS = {
    "int4range": "int4", "int8range": "int8", "numrange": "numeric", "daterange": "date", "tsrange": "timestamp",
    "tstzrange": "timestamptz",
}  # fmt: skip
_KNOWN = frozenset(READS.values())


def parameter_problem(annotation: Any, pg_type: asyncpg.Type) -> str | None:
    """Why an argument that is annotated so does not fit a parameter of this type; None where it may."""
    annotation, name = _innermost(annotation, pg_type.name)
    if annotation is None or name not in READS:
        return None
    allowed = {READS[name], *_WRITES.get(name, ())}
    if all(_kind(member) in allowed for member in members(annotation) if _kind(member) in _KNOWN):
        return None
    return f"is {name} here: declare it {READS[name].__name__}"


def column_problem(annotation: Any, pg_type: asyncpg.Type) -> str | None:
    """Why a field that is annotated so does not fit a column of this type; None where it may."""
    annotation, name = _innermost(annotation, pg_type.name)
    if annotation is None or name not in READS:
        return None
    kinds = [_kind(member) for member in members(annotation) if member is not type(None)]
    read = READS[name]
    fits = read in kinds or (read is int and float in kinds) or any(kind not in _KNOWN for kind in kinds)
    return None if fits else f"is {pg_type.name}, the field is {' | '.join(kind.__name__ for kind in kinds) or None}"


def guards(annotations: Iterable[Any], pg_types: Sequence[asyncpg.Type]) -> list[tuple[int, Reason]]:
    """For each parameter whose values must be looked at, because its annotation leaves something open, how."""
    found: list[tuple[int, Reason]] = []
    for index, (annotation, pg_type) in enumerate(zip(annotations, pg_types, strict=True)):
        reason = _guard(annotation, pg_type.name)
        if reason:
            found.append((index, reason))
    return found


def _guard(annotation: Any, type_name: str) -> Reason | None:
    name = type_name.removesuffix("[]")
    if name in _BOUNDS:
        return _each(_bounds_refusal(name))
    kinds = set(members(_innermost(annotation, type_name)[0]))
    if name in _AWARE:
        return _each(_of_time(name))
    # `Any` says nothing of the value, and the driver would take True for an integer.
    return _each(refusal(_storable(name) | None)) if name in READS and {Any, object} & kinds else None


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


def _bounds_refusal(name: str) -> Reason:
    subtype = _BOUNDS[name]
    of_bound: Reason = _of_time(subtype) if subtype in _AWARE else refusal(_storable(subtype) | None)

    def refuse(value: object) -> str | None:
        bounds: tuple[Any, ...] = ()
        if isinstance(value, asyncpg.Range):
            found = cast("asyncpg.Range[Any]", value)
            bounds = (found.lower, found.upper)
        return next((f"has a bound that {problem}" for bound in bounds if (problem := of_bound(bound))), None)

    return refuse


def _each(reason: Reason) -> Reason:
    """The same for the items of a list or tuple, however deep."""

    def refuse(value: object) -> str | None:
        if not isinstance(value, (list, tuple, set, frozenset)):
            return reason(value)
        for number, item in enumerate(cast("Iterable[object]", value), 1):
            if problem := refuse(item):
                return f"item {number} {problem}"
        return None

    return refuse


def _innermost(annotation: Any, type_name: str) -> tuple[Any, str]:
    """What the items of an array are on both sides; the annotation is None where the two are of different shapes."""
    if not type_name.endswith("[]"):
        arrays = [member for member in members(annotation) if element(member) is not None]
        return (None if arrays else annotation), type_name
    items = [element(member) for member in members(annotation) if element(member) is not None]
    if len(items) != 1:
        return (None if items else Any), type_name.removesuffix("[]")
    nested = element(items[0])
    return (items[0] if nested is None else nested), type_name.removesuffix("[]")


def _kind(member: Any) -> Any:
    """The class that decides; None for what is no class, and for None itself."""
    if member is type(None) or not isinstance(member, type):
        return None
    if issubclass(member, Enum):
        return next((kind for kind in (str, int) if issubclass(member, kind)), member)
    return cast("Any", member)


Guarded = Callable[..., Any]
