"""Infinity as a moment: the driver makes a datetime without a time zone of it, also among those that have one."""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, cast

import asyncpg

from app.db.shapes import Shape

# The objects themselves that the driver gives for infinity, so that `is` finds them. The pinned version range and
# tests/db/test_moments.py keep these names true.
_driver: Any = import_module("asyncpg.pgproto.pgproto")
LAST: datetime = _driver.infinity_datetime
FIRST: datetime = _driver.negative_infinity_datetime


def moments_in(shape: Shape | None) -> Callable[[Any], Any] | None:
    """What gives each infinite timestamptz in a value of this type a time zone; None where there is none to find."""
    if shape is None:
        return None
    if shape.name == "timestamptz":
        return with_zone
    inner = moments_in(shape.of)
    if inner is None:
        return None
    return _in_list(inner) if shape.kind == "array" else _in_ranges(inner)


def with_zone(moment: Any) -> Any:
    """datetime.max and datetime.min in UTC, which the driver writes back as infinity; any other value as it is."""
    if isinstance(moment, datetime) and moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment


def _in_list(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        return [convert(item) for item in cast("list[Any]", value)] if isinstance(value, list) else inner(value)

    return convert


def _in_ranges(inner: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, list):
            return [convert(item) for item in cast("list[Any]", value)]
        if value is None or value.isempty:
            return value
        return asyncpg.Range(
            inner(value.lower), inner(value.upper), lower_inc=value.lower_inc, upper_inc=value.upper_inc
        )

    return convert
