import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any, Literal, NewType, TypedDict
from uuid import UUID

import asyncpg
import pytest

from app.check.annotations import misfit
from app.check.types import PgType, load_types, python_type


class Mood(StrEnum):
    HAPPY = "happy"
    SAD = "sad"


class Level(IntEnum):
    LOW = 1


class Settings(TypedDict):
    theme: str


UserId = NewType("UserId", int)
MOOD = PgType("mood", "enum", labels=("happy", "sad"))
EMAIL = PgType("email", "domain", PgType("text"))
ADDRESS = PgType("address", "composite", fields=(("street", PgType("text")), ("number", PgType("integer"))))


INT_MULTIRANGE = PgType("int4multirange", "multirange", PgType("integer"))
INT_RANGE = PgType("int4range", "range", PgType("integer"))


def array(element: PgType) -> PgType:
    return PgType(f"{element.name}[]", "array", element)


BOTH_WAYS: list[tuple[PgType, Any]] = [
    *((PgType(name), int) for name in ("smallint", "integer", "bigint", "oid")),
    *((PgType(name), float) for name in ("real", "double precision")),
    *((PgType(name), str) for name in ("text", "character varying", "citext", "xml", "tsvector")),
    (PgType("bigint"), UserId),
    (PgType("numeric"), Decimal),
    (PgType("boolean"), bool),
    (PgType("bytea"), bytes),
    (PgType("uuid"), UUID),
    (PgType("date"), date),
    (PgType("time without time zone"), time),
    (PgType("timestamp without time zone"), datetime),
    (PgType("timestamp with time zone"), datetime),
    (PgType("interval"), timedelta),
    (PgType("inet"), ipaddress.IPv4Address),
    (PgType("cidr"), ipaddress.IPv6Network | ipaddress.IPv4Network),
    (PgType("point"), asyncpg.Point),
    *((PgType("jsonb"), annotation) for annotation in (Any, object, dict[str, Any], list[int | None], str, Settings)),
    (PgType("json"), Mapping[str, list[float] | bool]),
    (EMAIL, str),
    (MOOD, Mood),
    (MOOD, str),
    (MOOD, Literal["happy", "sad"]),
    (array(PgType("text")), list[str]),
    (array(PgType("text")), list[str | None]),
    (array(PgType("text")), tuple[str, ...]),
    (array(PgType("text")), set[str]),
    (array(PgType("text")), Sequence[str]),
    (PgType("text"), Mood),
    (PgType("integer"), Level),
    (array(MOOD), list[Mood]),
    (array(EMAIL), list[str]),
    (INT_RANGE, asyncpg.Range),
    (INT_RANGE, asyncpg.Range[int]),
    (INT_MULTIRANGE, list[asyncpg.Range[int]]),
    (INT_MULTIRANGE, list[asyncpg.Range]),  # pyright: ignore[reportMissingTypeArgument] - generic to the type checker only
    (ADDRESS, tuple[str, int | None]),
    (PgType("record", "pseudo"), tuple[int, str]),
]


@pytest.mark.parametrize(("type_", "annotation"), BOTH_WAYS)
def test_an_annotation_fits_to_be_written_and_to_be_read(type_: PgType, annotation: Any) -> None:
    assert misfit(type_, annotation, writes=True) is None
    assert misfit(type_, annotation, writes=False) is None


@pytest.mark.parametrize(
    ("type_", "annotation"),
    [
        (PgType("numeric"), int),
        (PgType("real"), int),
        (PgType("text"), Literal["a", "b"]),
        (MOOD, Literal["happy"]),
    ],
)
def test_some_annotations_are_only_written(type_: PgType, annotation: Any) -> None:
    assert misfit(type_, annotation, writes=True) is None
    assert misfit(type_, annotation, writes=False)


@pytest.mark.parametrize(
    ("type_", "annotation"),
    [
        (PgType("bigint"), str),
        (PgType("bigint"), bool),
        (PgType("boolean"), int),
        (PgType("numeric"), float),
        (PgType("text"), int),
        (PgType("text"), Any),
        (PgType("text"), bytes),
        (PgType("date"), datetime),
        (PgType("timestamp with time zone"), date),
        (PgType("uuid"), str),
        (PgType("inet"), str),
        (PgType("jsonb"), UUID),
        (PgType("jsonb"), list[datetime]),
        (EMAIL, int),
        (MOOD, int),
        (MOOD, Level),
        (array(PgType("text")), list[int]),
        (array(PgType("text")), str),
        (array(PgType("text")), list),
        (array(PgType("text")), tuple[str, str]),
        (array(MOOD), list[int]),
        (INT_RANGE, tuple[int, int]),
        (INT_RANGE, asyncpg.Range[str]),
        (INT_MULTIRANGE, list[asyncpg.Range[str]]),
        (INT_MULTIRANGE, list),
        (PgType("int4multirange", "multirange", PgType("integer")), list[int]),
        (ADDRESS, tuple[str]),
        (ADDRESS, tuple[str, str]),
        (ADDRESS, str),
    ],
)
def test_other_annotations_do_not_fit(type_: PgType, annotation: Any) -> None:
    assert misfit(type_, annotation, writes=True)
    assert misfit(type_, annotation, writes=False)


def test_a_union_is_written_when_all_of_it_fits_and_read_when_some_of_it_does() -> None:
    assert misfit(PgType("bigint"), int | str, writes=True) == "bigint takes int"
    assert misfit(PgType("bigint"), int | str, writes=False) is None
    assert misfit(PgType("bigint"), bytes | str, writes=False) == "bigint is read as int"


def test_an_enum_is_written_by_what_it_knows_and_read_by_all_of_it() -> None:
    wider = PgType("mood", "enum", labels=("happy", "sad", "glad"))
    narrower = PgType("mood", "enum", labels=("happy",))

    assert misfit(wider, Mood, writes=True) is None
    assert misfit(wider, Mood, writes=False) == "mood can also be 'glad'"
    assert misfit(narrower, Mood, writes=True) == "mood has no 'sad'; it has 'happy'"
    assert misfit(narrower, Mood, writes=False) is None
    assert misfit(MOOD, int, writes=False) == "mood is an enum: a StrEnum of 'happy', 'sad'"


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (PgType("bigint"), "int"),
        (PgType("text"), "str"),
        (PgType("timestamp with time zone"), "datetime"),
        (PgType("jsonb"), "Any"),
        (PgType("point"), "asyncpg.Point"),
        (PgType("cidr"), "ipaddress.IPv4Network | ipaddress.IPv6Network"),
        (PgType("void", "pseudo"), "None"),
        (PgType("record", "pseudo"), "asyncpg.Record"),
        (PgType("shop.order_state", "enum", labels=("new",)), "ShopOrderState"),
        (array(EMAIL), "list[str]"),
        (ADDRESS, "tuple[str | None, int | None]"),
        (INT_RANGE, "asyncpg.Range[int]"),
        (PgType("int4multirange", "multirange", PgType("integer")), "list[asyncpg.Range[int]]"),
    ],
)
def test_a_type_has_an_annotation(type_: PgType, text: str) -> None:
    assert python_type(type_) == text


def test_the_types_of_a_database_are_known_with_their_parts(database_url: str) -> None:
    async def load(*names: str) -> list[PgType]:
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute("""
                create type mood as enum ('sad', 'happy');
                create domain email as text check (value like '%@%');
                create type address as (street email, moods mood[]);
                create schema shop;
                create type shop.state as enum ('new');
            """)
            type_of = await load_types(connection)
            oids = [await connection.fetchval("select $1::text::regtype::oid", name) for name in names]
            return [type_of(oid) for oid in oids]
        finally:
            await connection.close()

    mood = PgType("mood", "enum", labels=("sad", "happy"))
    fields = (("street", EMAIL), ("moods", PgType("mood[]", "array", mood)))
    assert asyncio.run(load("bigint", "mood", "email[]", "address", "shop.state", "int8range", "int4multirange")) == [
        PgType("bigint"),
        mood,
        PgType("email[]", "array", EMAIL),
        PgType("address", "composite", fields=fields),
        PgType("shop.state", "enum", labels=("new",)),
        PgType("int8range", "range", PgType("bigint")),
        PgType("int4multirange", "multirange", PgType("integer")),
    ]


# What asyncpg itself does with a value of each annotation: the table of types is no opinion.
VALUES: list[tuple[str, object]] = [
    ("smallint", 1),
    ("integer", 1),
    ("bigint", 1),
    ("oid", 1),
    ("numeric", Decimal("1.5")),
    ("real", 1.5),
    ("double precision", 1.5),
    ("boolean", True),
    ("text", "a"),
    ("character varying", "a"),
    ("name", "a"),
    ('"char"', b"a"),
    ("bytea", b"a"),
    ("uuid", UUID(int=1)),
    ("date", date(2024, 1, 2)),
    ("time without time zone", time(1)),
    ("interval", timedelta(1)),
    ("inet", ipaddress.IPv4Address("10.0.0.1")),
    ("inet", ipaddress.IPv4Interface("10.0.0.1/8")),
    ("cidr", ipaddress.IPv4Network("10.0.0.0/8")),
    ("bit varying", asyncpg.BitString.frombytes(b"\xa0", bitlength=3)),
    ("point", asyncpg.Point(1, 2)),
    ("box", asyncpg.Box((3, 4), (1, 2))),
    ("circle", asyncpg.Circle(asyncpg.Point(1, 2), 3)),
    ("macaddr", "08:00:2b:01:02:03"),
    ("money", "$1.00"),
    ("int4range", asyncpg.Range(1, 3)),
]


def test_the_driver_takes_and_gives_what_the_table_says(database_url: str) -> None:
    async def there_and_back() -> list[tuple[str, object]]:
        connection = await asyncpg.connect(database_url)
        try:
            return [(name, await connection.fetchval(f"select $1::{name}", value)) for name, value in VALUES]
        finally:
            await connection.close()

    for (name, sent), (_, received) in zip(VALUES, asyncio.run(there_and_back()), strict=True):
        kind = "range" if name == "int4range" else "base"
        assert misfit(PgType(name, kind), type(sent), writes=True) is None
        assert received == sent
        assert isinstance(received, type(sent))
        assert misfit(PgType(name, kind), type(sent), writes=False) is None
