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

from app.check.postgres.server_types import ServerType, load_types
from app.check.python.type_text import python_type
from app.check.rules.type_fit import misfit


class Mood(StrEnum):
    HAPPY = "happy"
    SAD = "sad"


class Level(IntEnum):
    LOW = 1


class Settings(TypedDict):
    theme: str


UserId = NewType("UserId", int)
MOOD = ServerType("mood", "enum", labels=("happy", "sad"))
EMAIL = ServerType("email", "domain", ServerType("text"))
ADDRESS = ServerType("address", "composite", fields=(("street", ServerType("text")), ("number", ServerType("integer"))))


INT_MULTIRANGE = ServerType("int4multirange", "multirange", ServerType("integer"))
INT_RANGE = ServerType("int4range", "range", ServerType("integer"))


def array(element: ServerType) -> ServerType:
    return ServerType(f"{element.name}[]", "array", element)


BOTH_WAYS: list[tuple[ServerType, Any]] = [
    *((ServerType(name), int) for name in ("smallint", "integer", "bigint", "oid")),
    *((ServerType(name), float) for name in ("real", "double precision")),
    *((ServerType(name), str) for name in ("text", "character varying", "citext", "xml", "tsvector")),
    (ServerType("bigint"), UserId),
    (ServerType("numeric"), Decimal),
    (ServerType("boolean"), bool),
    (ServerType("bytea"), bytes),
    (ServerType("uuid"), UUID),
    (ServerType("date"), date),
    (ServerType("time without time zone"), time),
    (ServerType("timestamp without time zone"), datetime),
    (ServerType("timestamp with time zone"), datetime),
    (ServerType("interval"), timedelta),
    (ServerType("inet"), ipaddress.IPv4Address),
    (ServerType("cidr"), ipaddress.IPv6Network | ipaddress.IPv4Network),
    (ServerType("point"), asyncpg.Point),
    *(
        (ServerType("jsonb"), annotation)
        for annotation in (Any, object, dict[str, Any], list[int | None], str, Settings)
    ),
    (ServerType("json"), Mapping[str, list[float] | bool]),
    (EMAIL, str),
    (MOOD, Mood),
    (MOOD, str),
    (MOOD, Literal["happy", "sad"]),
    (array(ServerType("text")), list[str]),
    (array(ServerType("text")), list[str | None]),
    (array(ServerType("text")), tuple[str, ...]),
    (array(ServerType("text")), set[str]),
    (array(ServerType("text")), Sequence[str]),
    (ServerType("text"), Mood),
    (ServerType("integer"), Level),
    (array(MOOD), list[Mood]),
    (array(EMAIL), list[str]),
    (INT_RANGE, asyncpg.Range),
    (INT_RANGE, asyncpg.Range[int]),
    (INT_MULTIRANGE, list[asyncpg.Range[int]]),
    (INT_MULTIRANGE, list[asyncpg.Range]),  # pyright: ignore[reportMissingTypeArgument] - generic to the type checker only
    (ADDRESS, tuple[str, int | None]),
    (ServerType("record", "pseudo"), tuple[int, str]),
]


@pytest.mark.parametrize(("type_", "annotation"), BOTH_WAYS)
def test_an_annotation_fits_to_be_written_and_to_be_read(type_: ServerType, annotation: Any) -> None:
    assert misfit(type_, annotation, writes=True) is None
    assert misfit(type_, annotation, writes=False) is None


@pytest.mark.parametrize(
    ("type_", "annotation"),
    [
        (ServerType("numeric"), int),
        (ServerType("real"), int),
        (ServerType("text"), Literal["a", "b"]),
        (MOOD, Literal["happy"]),
    ],
)
def test_some_annotations_are_only_written(type_: ServerType, annotation: Any) -> None:
    assert misfit(type_, annotation, writes=True) is None
    assert misfit(type_, annotation, writes=False)


@pytest.mark.parametrize(
    ("type_", "annotation"),
    [
        (ServerType("bigint"), str),
        (ServerType("bigint"), bool),
        (ServerType("boolean"), int),
        (ServerType("numeric"), float),
        (ServerType("text"), int),
        (ServerType("text"), Any),
        (ServerType("text"), bytes),
        (ServerType("date"), datetime),
        (ServerType("timestamp with time zone"), date),
        (ServerType("uuid"), str),
        (ServerType("inet"), str),
        (ServerType("jsonb"), UUID),
        (ServerType("jsonb"), list[datetime]),
        (EMAIL, int),
        (MOOD, int),
        (MOOD, Level),
        (array(ServerType("text")), list[int]),
        (array(ServerType("text")), str),
        (array(ServerType("text")), list),
        (array(ServerType("text")), tuple[str, str]),
        (array(MOOD), list[int]),
        (INT_RANGE, tuple[int, int]),
        (INT_RANGE, asyncpg.Range[str]),
        (INT_MULTIRANGE, list[asyncpg.Range[str]]),
        (INT_MULTIRANGE, list),
        (ServerType("int4multirange", "multirange", ServerType("integer")), list[int]),
        (ADDRESS, tuple[str]),
        (ADDRESS, tuple[str, str]),
        (ADDRESS, str),
    ],
)
def test_other_annotations_do_not_fit(type_: ServerType, annotation: Any) -> None:
    assert misfit(type_, annotation, writes=True)
    assert misfit(type_, annotation, writes=False)


def test_a_union_is_written_when_all_of_it_fits_and_read_when_some_of_it_does() -> None:
    assert misfit(ServerType("bigint"), int | str, writes=True) == "bigint takes int"
    assert misfit(ServerType("bigint"), int | str, writes=False) is None
    assert misfit(ServerType("bigint"), bytes | str, writes=False) == "bigint is read as int"


def test_an_enum_is_written_by_what_it_knows_and_read_by_all_of_it() -> None:
    wider = ServerType("mood", "enum", labels=("happy", "sad", "glad"))
    narrower = ServerType("mood", "enum", labels=("happy",))

    assert misfit(wider, Mood, writes=True) is None
    assert misfit(wider, Mood, writes=False) == "mood can also be 'glad'"
    assert misfit(narrower, Mood, writes=True) == "mood has no 'sad'; it has 'happy'"
    assert misfit(narrower, Mood, writes=False) is None
    assert misfit(MOOD, int, writes=False) == "mood is an enum: a StrEnum of 'happy', 'sad'"


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (ServerType("bigint"), "int"),
        (ServerType("text"), "str"),
        (ServerType("timestamp with time zone"), "datetime"),
        (ServerType("jsonb"), "Any"),
        (ServerType("point"), "asyncpg.Point"),
        (ServerType("cidr"), "ipaddress.IPv4Network | ipaddress.IPv6Network"),
        (ServerType("void", "pseudo"), "None"),
        (ServerType("record", "pseudo"), "asyncpg.Record"),
        (ServerType("shop.order_state", "enum", labels=("new",)), "ShopOrderState"),
        (array(EMAIL), "list[str]"),
        (ADDRESS, "tuple[str | None, int | None]"),
        (INT_RANGE, "asyncpg.Range[int]"),
        (ServerType("int4multirange", "multirange", ServerType("integer")), "list[asyncpg.Range[int]]"),
    ],
)
def test_a_type_has_an_annotation(type_: ServerType, text: str) -> None:
    assert python_type(type_) == text


def test_the_types_of_a_database_are_known_with_their_parts(database_url: str) -> None:
    async def load(*names: str) -> list[ServerType]:
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

    mood = ServerType("mood", "enum", labels=("sad", "happy"))
    fields = (("street", EMAIL), ("moods", ServerType("mood[]", "array", mood)))
    assert asyncio.run(load("bigint", "mood", "email[]", "address", "shop.state", "int8range", "int4multirange")) == [
        ServerType("bigint"),
        mood,
        ServerType("email[]", "array", EMAIL),
        ServerType("address", "composite", fields=fields),
        ServerType("shop.state", "enum", labels=("new",)),
        ServerType("int8range", "range", ServerType("bigint")),
        ServerType("int4multirange", "multirange", ServerType("integer")),
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
        assert misfit(ServerType(name, kind), type(sent), writes=True) is None
        assert received == sent
        assert isinstance(received, type(sent))
        assert misfit(ServerType(name, kind), type(sent), writes=False) is None
