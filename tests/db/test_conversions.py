"""A dataclass is sent as a composite, a member of an Enum as its value, wherever one stands in an argument or a row."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum, Flag, IntEnum, StrEnum
from typing import Any

import pytest

from app.db import BadArgument, BadRow, BindingError, Database, Executor, Queries

pytestmark = pytest.mark.one_loop

WriteQueries = Callable[[str], Queries]
TYPES = """
create type state as enum ('open', 'paid');
create type money_ as (amount int, state state);
create type item as (name text, price money_, tags text[]);
create domain priced as item;
create table lines (id int, line item, lines item[], state state);
"""


class State(Enum):
    OPEN = "open"
    PAID = "paid"


class Level(Enum):
    LOW = 1


class Bits(Flag):
    ONE = 1
    TWO = 2


class Named(StrEnum):
    OPEN = "open"


class Numbered(IntEnum):
    ONE = 1


@dataclass(frozen=True, slots=True)
class Money:
    state: State
    amount: int


@dataclass(frozen=True, slots=True)
class Line:
    price: Money | None
    name: str
    tags: list[str]


@dataclass(frozen=True, slots=True)
class Row:
    id: int
    line: Line | None
    lines: list[Line]
    state: State | None


PRICE = Money(State.PAID, 5)
LINE = Line(PRICE, "pen", ["a", "b"])
VALUES: dict[str, tuple[str, Any, Any, Any]] = {
    "a dataclass": ("item", Line, LINE, LINE),
    "a dataclass or None": ("item", Line | None, None, None),
    "one with None in it": ("item", Line | None, Line(None, "pen", []), Line(None, "pen", [])),
    "a domain over a composite": ("priced", Line, LINE, LINE),
    "an array of dataclasses": ("item[]", list[Line], [LINE, LINE], [LINE, LINE]),
    "an empty array of dataclasses": ("item[]", list[Line], [], []),
    "an array with None in it": ("item[]", list[Line | None], [LINE, None], [LINE, None]),
    "an enum for a label": ("state", State, State.OPEN, State.OPEN),
    "an enum for a text": ("text", State, State.OPEN, State.OPEN),
    "an enum for a number": ("int", Level, Level.LOW, Level.LOW),
    "flags": ("int", Bits, Bits.ONE | Bits.TWO, Bits.ONE | Bits.TWO),
    "an enum or None": ("state", State | None, None, None),
    "an array of enums": ("state[]", list[State], [State.OPEN, State.PAID], [State.OPEN, State.PAID]),
    "an array of numbers": ("int[]", list[Level], [Level.LOW], [Level.LOW]),
    "a StrEnum": ("state", Named, Named.OPEN, Named.OPEN),
    "an IntEnum": ("int", Numbered, Numbered.ONE, Numbered.ONE),
}


@pytest.fixture
async def lines(db: Database) -> Database:
    await db.execute(TYPES)
    return db


def echo(write_queries: WriteQueries, type_: str, annotation: Any, returns: Any) -> Callable[..., Any]:
    async def get_echo(db: Executor, *, first: int, value: Any) -> Any: ...

    get_echo.__annotations__.update(db=Executor, first=int, value=annotation, **{"return": returns})
    return write_queries(f"-- name: get_echo\nselect :value::{type_} as value where :first = 1\n").bind(get_echo)


@pytest.mark.parametrize("name", VALUES)
async def test_a_value_comes_back_as_it_was_sent(lines: Database, write_queries: WriteQueries, name: str) -> None:
    type_, annotation, value, expected = VALUES[name]

    @dataclass(frozen=True, slots=True)
    class Echo:
        value: Any

    Echo.__annotations__["value"] = annotation
    get_echo = echo(write_queries, type_, annotation, Echo)

    assert (await get_echo(lines, first=1, value=value)).value == expected


async def test_rows_with_dataclasses_are_copied_and_streamed(lines: Database, write_queries: WriteQueries) -> None:
    queries = write_queries(
        "-- name: copy_lines\ncopy lines (id, line, lines, state) from stdin;\n"
        "-- name: stream_lines\nselect id, line, lines, state from lines where (line).price = :price::money_;\n"
    )

    @queries.bind
    async def copy_lines(db: Executor, *, rows: Iterable[Row]) -> int: ...
    @queries.bind
    def stream_lines(db: Executor, *, price: Money) -> AbstractAsyncContextManager[AsyncIterator[Row]]: ...

    rows = [Row(1, LINE, [LINE], State.OPEN), Row(2, None, [], None)]
    assert await copy_lines(lines, rows=rows) == 2
    async with stream_lines(lines, price=PRICE) as found:
        assert [row async for row in found] == rows[:1]
    with pytest.raises(BadRow, match=r"row 1, column line: attribute price attribute amount must be int"):
        await copy_lines(lines, rows=[Row(1, Line(Money(State.OPEN, 1.9), "pen", []), [], None)])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("type_", "annotation", "value", "reason"),
    [
        ("item", Line, Line(PRICE, 7, []), "attribute name must be str | None, not int"),  # pyright: ignore[reportArgumentType]
        ("item", Line, Line(Money(State.OPEN, True), "pen", []), "attribute price attribute amount must be int"),
        ("item[]", list[Line], [LINE, Line(PRICE, "pen", [7])], "item 2 attribute tags item 1 must be str"),  # pyright: ignore[reportArgumentType]
        ("item", Line, PRICE, "must be Line, not Money"),
        ("state", State, "open", "must be State, not str"),
    ],
)
async def test_values_inside_are_strict(  # noqa: PLR0917 - parameters of the test
    lines: Database, write_queries: WriteQueries, type_: str, annotation: Any, value: Any, reason: str
) -> None:
    with pytest.raises(BadArgument) as refused:
        await echo(write_queries, type_, annotation, Any)(lines, first=1, value=value)

    assert refused.value.parameter == "value"
    assert refused.value.reason.startswith(reason)


@dataclass(frozen=True, slots=True)
class Short:
    name: str
    price: Money


@dataclass(frozen=True, slots=True)
class Long(Line):
    more: int


@dataclass(frozen=True, slots=True)
class Wrong:
    price: Money
    name: int
    tags: list[str]


@pytest.mark.parametrize(
    ("type_", "annotation", "problem"),
    [
        ("item", Short, "does not fit the composite item: no field for attribute 'tags'"),
        ("item[]", list[Short], "does not fit the composite item: no field for attribute 'tags'"),
        ("item", Long, "does not fit the composite item: no attribute for field 'more'"),
        ("item", Wrong, "is text here: declare it str"),
        ("jsonb", Line, "is jsonb here, and a dataclass is sent as a composite"),
        ("text", Line | None, "is text here, and a dataclass is sent as a composite"),
        ("int", State, "is int4 here: declare it int"),
        ("record", Line, "is a record without a type here: cast it to a composite"),
        ("text", Level, "is text here: declare it str"),
    ],
)
async def test_what_does_not_fit_is_refused_before_it_is_sent(
    lines: Database, write_queries: WriteQueries, type_: str, annotation: Any, problem: str
) -> None:
    with pytest.raises(BindingError) as refused:
        await echo(write_queries, type_, annotation | None, Any)(lines, first=1, value=None)

    assert f"argument 'value' {problem}" in str(refused.value)


async def test_an_attribute_that_a_migration_adds_is_asked_for(lines: Database, write_queries: WriteQueries) -> None:
    get_echo = echo(write_queries, "item", Line, Any)
    assert await get_echo(lines, first=1, value=LINE)
    await lines.execute("alter type item add attribute note text")

    with pytest.raises(BindingError, match=r"no field for attribute 'note'"):
        await get_echo(lines, first=1, value=LINE)
