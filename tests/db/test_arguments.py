"""A value that the driver would convert in silence is refused, and the message names function and parameter."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any, Literal, cast
from uuid import UUID

import asyncpg
import pytest

from app.db import BadArgument, BindingError, Database, Executor, Queries

pytestmark = pytest.mark.one_loop

WriteQueries = Callable[[str], Queries]

NAIVE = datetime(2024, 2, 29, 12, 30)
AWARE = NAIVE.replace(tzinfo=UTC)


class Mood(StrEnum):
    GLAD = "glad"
    SAD = "sad"


class Level(IntEnum):
    LOW = 1


class Shouted(str):
    __slots__ = ()


async def echo(write_queries: WriteQueries, db: Database, annotation: Any, pg_type: str, value: object) -> Any:
    """What `select value` gives for an argument annotated so."""

    async def get_echo(db: Executor, *, value: Any) -> Any: ...

    get_echo.__annotations__["value"] = annotation
    return await write_queries(f"-- name: get_echo\nselect :value::{pg_type}").bind(get_echo)(db, value=value)


@pytest.mark.parametrize(
    ("annotation", "pg_type", "value", "reason"),
    [
        (int, "bigint", 1.9, "must be int, not float"),
        (int, "bigint", Decimal("2.9"), "must be int, not Decimal"),
        (int, "integer", True, "must be int, not bool"),
        (int, "oid", UUID(int=1), "must be int, not UUID"),
        (int, "bigint", None, "must be int, not None"),
        (int | None, "bigint", "1", "must be int | None, not str"),
        (int, "bigint", 2**63, "value out of int64 range"),
        (bool, "boolean", 1, "must be bool, not int"),
        (float, "float8", True, "must be float, not bool"),
        (float, "float8", Decimal(1), "must be float, not Decimal"),
        (Decimal, "numeric", 1.9, "must be Decimal, not float"),
        (Decimal, "numeric", "1.9", "must be Decimal, not str"),
        (str, "text", 1, "must be str, not int"),
        (str, "text", b"x", "must be str, not bytes"),
        (bytes, "bytea", "x", "must be bytes, not str"),
        (date, "date", NAIVE, "must be date, not datetime"),
        (datetime, "timestamptz", date(2024, 2, 29), "must be datetime, not date"),
        (datetime, "timestamptz", NAIVE, "needs a time zone for timestamptz"),
        (datetime | None, "timestamptz", NAIVE, "needs a time zone for timestamptz"),
        (datetime, "timestamp", AWARE, "must have no time zone for timestamp"),
        (time, "time", time(1, 2, tzinfo=UTC), "must have no time zone for time"),
        (time, "time", NAIVE, "must be time, not datetime"),
        (UUID, "uuid", str(UUID(int=1)), "must be UUID, not str"),
        (list[int], "bigint[]", [1, 2.5], "item 2 must be int, not float"),
        (list[int], "bigint[]", [True], "item 1 must be int, not bool"),
        (list[int], "bigint[]", [1, None], "item 2 must be int, not None"),
        (list[int] | None, "bigint[]", [1.5], "item 1 must be int, not float"),
        (list[int], "bigint[]", (1, 2), "must be list[int], not tuple"),
        (Sequence[str], "text[]", "ann", "must be Sequence[str], not str"),
        (list[datetime], "timestamptz[]", [AWARE, NAIVE], "item 2 needs a time zone for timestamptz"),
        (Literal["asc", "desc"], "text", "up", "must be one of 'asc', 'desc'"),
        (Mood, "text", "glad", "must be Mood, not str"),
        (asyncpg.Range, "int4range", asyncpg.Range(1.5, 3), "has a bound that must be int | None, not float"),
        (asyncpg.Range, "tstzrange", asyncpg.Range(NAIVE), "has a bound that needs a time zone for timestamptz"),
        (Any, "timestamptz", date(2024, 2, 29), "must be datetime | None, not date"),
        (Any, "integer", True, "must be int | None, not bool"),
        (object, "integer", True, "must be int | None, not bool"),
        (Any, "timestamptz", NAIVE, "needs a time zone for timestamptz"),
        (dict[str, Any], "jsonb", [1], "must be dict[str, Any], not list"),
    ],
)
async def test_a_value_that_the_annotation_does_not_allow_is_refused(
    *, write_queries: WriteQueries, db: Database, annotation: Any, pg_type: str, value: object, reason: str
) -> None:
    with pytest.raises(BadArgument) as refusal:
        await echo(write_queries, db, annotation, pg_type, value)

    assert str(refusal.value) == f"get_echo(value=...): {reason}"


@pytest.mark.parametrize(
    ("annotation", "pg_type", "value", "result"),
    [
        (int, "bigint", Level.LOW, 1),
        (int | None, "bigint", None, None),
        (float, "float8", 2, 2.0),
        (int, "numeric", 2, Decimal(2)),
        (Decimal | int, "numeric", Decimal("1.10"), Decimal("1.10")),
        (str, "text", Mood.GLAD, "glad"),
        (str, "text", Shouted("HEY"), "HEY"),
        (Mood, "text", Mood.SAD, "sad"),
        (Literal["asc", "desc"], "text", "asc", "asc"),
        (datetime, "timestamptz", AWARE, AWARE),
        (datetime | None, "timestamptz", None, None),
        (asyncpg.Range, "tstzrange", asyncpg.Range(AWARE), asyncpg.Range(AWARE)),
        (datetime, "timestamp", NAIVE, NAIVE),
        (timedelta, "interval", timedelta(days=1), timedelta(days=1)),
        (date, "date", date(2024, 2, 29), date(2024, 2, 29)),
        (Sequence[int], "bigint[]", (1, 2), [1, 2]),
        (list[int | None], "bigint[]", [1, None], [1, None]),
        (list[list[int]], "bigint[]", [[1], [2]], [[1], [2]]),
        (asyncpg.Range, "int4range", asyncpg.Range(1, 3), asyncpg.Range(1, 3)),
        (asyncpg.Range | None, "int4range", None, None),
        (Any, "integer", 7, 7),
    ],
)
async def test_a_value_that_the_annotation_allows_arrives(
    *, write_queries: WriteQueries, db: Database, annotation: Any, pg_type: str, value: object, result: object
) -> None:
    assert await echo(write_queries, db, annotation, pg_type, value) == result


@pytest.mark.parametrize(
    ("annotation", "pg_type", "problem"),
    [
        (float, "numeric", "is numeric here: declare it Decimal"),
        (str, "numeric", "is numeric here: declare it Decimal"),
        (Decimal, "float8", "is float8 here: declare it float"),
        (float, "bigint", "is int8 here: declare it int"),
        (bool, "integer", "is int4 here: declare it int"),
        (datetime, "date", "is date here: declare it date"),
        (list[float], "bigint[]", "is int8 here: declare it int"),
    ],
)
async def test_an_annotation_that_the_type_of_the_parameter_contradicts_is_refused(
    *, write_queries: WriteQueries, db: Database, annotation: Any, pg_type: str, problem: str
) -> None:
    with pytest.raises(BindingError) as refusal:
        await echo(write_queries, db, annotation | None, pg_type, None)

    first, place = str(refusal.value).splitlines()
    assert first == f"things.sql:1:1: get_echo: argument 'value' {problem}"
    assert place.startswith("(bound at ")


async def test_a_message_never_holds_the_value(write_queries: WriteQueries, db: Database) -> None:
    cases: list[tuple[Any, Any]] = [(int, "hunter2"), (list[int], ["hunter2"]), (int | None, "hunter2")]
    for annotation, secret in cases:
        pg_type = "bigint[]" if type(secret) is list else "bigint"
        with pytest.raises(BadArgument) as refusal:
            await echo(write_queries, db, annotation, pg_type, cast("Any", secret))
        assert "hunter2" not in str(refusal.value)


def test_an_argument_without_annotation_is_refused_when_it_is_bound(write_queries: WriteQueries) -> None:
    async def get_thing(db: Executor, *, value) -> Any: ...  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType] - that is the point

    with pytest.raises(BindingError, match=r"test_arguments\.py:\d+: argument 'value' of get_thing has no annotation"):
        write_queries("-- name: get_thing\nselect :value::int").bind(cast("Any", get_thing))
