"""Infinite timestamps. The driver reads them as datetimes without a time zone, even for timestamptz."""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, cast

import asyncpg

from app.db.binding.pg_types import TypeInfo

# The very objects that the driver returns, so that `is` finds them. The pinned version range and tests/db/test_rows.py
# guard these private names.
_driver: Any = import_module("asyncpg.pgproto.pgproto")
LAST: datetime = _driver.infinity_datetime
FIRST: datetime = _driver.negative_infinity_datetime


def infinity_conversion(info: TypeInfo | None) -> Callable[[Any], Any] | None:
    """Return a conversion that adds a time zone to infinite timestamptz values; None if the type contains none."""
    if info is None:
        return None
    if info.name == "timestamptz":
        return with_zone
    inner = infinity_conversion(info.of)
    if inner is None:
        return None
    return _in_list(inner) if info.kind == "array" else _in_ranges(inner)


def with_zone(moment: Any) -> Any:
    """Return an infinite datetime in UTC, which the driver writes back as infinity, and any other value unchanged."""
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
