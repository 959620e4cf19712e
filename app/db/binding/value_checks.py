"""Checks of values that annotations leave open, such as a moment without a time zone: made for each call."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time
from typing import Any, cast

import asyncpg

from app.db.binding.annotations import Reason, members, refusal
from app.db.binding.pg_types import STRICT_SCALARS, TypeInfo
from app.db.binding.type_checks import leaves


def value_checks(annotations: Iterable[Any], infos: Sequence[TypeInfo]) -> list[tuple[int, Reason]]:
    """Return index and check of each parameter whose values its annotation does not decide."""
    found: list[tuple[int, Reason]] = []
    for index, (annotation, info) in enumerate(zip(annotations, infos, strict=True)):
        reason = _value_check(annotation, info)
        if reason:
            found.append((index, reason))
    return found


def _value_check(annotation: Any, info: TypeInfo) -> Reason | None:
    leaf = info
    while leaf.kind == "array" and leaf.of is not None:
        leaf = leaf.of
    if leaf.kind == "scalar" and not _is_moment(leaf.name):
        # `Any` does not restrict the value, and the driver accepts True for an integer.
        open_ = any({Any, object} & set(members(inner)) for inner, _ in leaves(annotation, info))
        return _strict(info) if open_ else None
    return _strict(info)


def _strict(info: TypeInfo) -> Reason | None:
    """Return a check that refuses values which the driver would store as others; None if there are none."""
    match info.kind:
        case "scalar":
            if _is_moment(info.name):
                return _of_time(info.name)
            return refusal(_storable(info.name) | None) if info.name in STRICT_SCALARS else None
        case "composite":
            reasons = [(name, _strict(of)) for name, of in info.attributes]
            return _attributes_refusal(reasons) if any(reason for _, reason in reasons) else None
        case _:
            inner = _strict(info.of) if info.of else None
            if inner is None:
                return None
            if info.kind == "array":
                return _each(inner)
            return _bounds_refusal(inner) if info.kind == "range" else _each(_bounds_refusal(inner))


def _storable(name: str) -> Any:
    storable: Any = STRICT_SCALARS[name].reads[0]
    for other in STRICT_SCALARS[name].also_stores:
        storable |= other
    return storable


def _of_time(name: str) -> Reason:
    """Return a check for a moment: its type, and that it has a time zone exactly if PostgreSQL's type has."""
    of_type = refusal(STRICT_SCALARS[name].reads[0] | None)
    aware = STRICT_SCALARS[name].has_time_zone
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
            # The driver accepts `(1, 2)` for a range, too.
            bounds = tuple(cast("Sequence[Any]", value))
        return next((f"has a bound that {problem}" for bound in bounds if (problem := of_bound(bound))), None)

    return refuse


def _attributes_refusal(reasons: Sequence[tuple[str, Reason | None]]) -> Reason:
    """Return a check of a composite that is given by position or by name."""

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
    """Return the check for each item of an array of any depth. Inside an array, only a list is a dimension."""

    def refuse(value: object) -> str | None:
        if not isinstance(value, (list, tuple, set, frozenset)):
            return reason(value)
        for number, item in enumerate(cast("Iterable[object]", value), 1):
            if problem := (refuse if isinstance(item, list) else reason)(cast("object", item)):
                return f"item {number} {problem}"
        return None

    return refuse


def _is_moment(name: str) -> bool:
    return name in STRICT_SCALARS and STRICT_SCALARS[name].has_time_zone is not None
