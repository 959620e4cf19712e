"""Values inside arrays, composites, domains and ranges are as strict as those that stand alone, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from asyncpg import Range

from app.db import BadArgument, BadRow, BindingError, Database, Executor, Queries

pytestmark = pytest.mark.one_loop

WriteQueries = Callable[[str], Queries]
NAIVE = datetime(2024, 2, 29, 12, 30)
AWARE = NAIVE.replace(tzinfo=UTC)
# What is good, and what the driver would store as something else without a word.
LEAVES = {
    "int4": (7, [1.9, Decimal("2.9"), True]),
    "int8": (7, [1.9, True]),
    "numeric": (Decimal("1.5"), [1.9, True]),
    "float8": (1.5, [True]),
    "timestamptz": (AWARE, [NAIVE, date(2024, 2, 29)]),
    "timestamp": (NAIVE, [AWARE]),
    "date": (date(2024, 2, 29), [NAIVE]),
}
# A type made of the leaf, and a value of it made of a value of that; each finds the leaf two levels down at least.
Nest = Callable[[Any], Any]
NESTS: dict[str, tuple[str, str, Nest]] = {
    "an array of a domain": ("create domain d as {}", "d[]", lambda leaf: [leaf]),
    "an array of a domain over a domain": ("create domain c as {}; create domain d as c", "d[]", lambda leaf: [leaf]),
    "a matrix": ("", "{}[]", lambda leaf: [[leaf], [leaf]]),
    "a composite": ("create type t as (a text, b {})", "t", lambda leaf: ("x", leaf)),
    "a composite by name": ("create type t as (a text, b {})", "t", lambda leaf: {"b": leaf}),
    "a composite in a composite": (
        "create type s as (b {}); create type t as (a text, s s)",
        "t",
        lambda leaf: ("x", (leaf,)),
    ),
    "an array in a composite": ("create type t as (a text, b {}[])", "t", lambda leaf: ("x", [leaf, leaf])),
    "an array of a domain in a composite": (
        "create domain d as {}; create type t as (b d[])",
        "t",
        lambda leaf: ([leaf],),
    ),
    "an array of composites": ("create type t as (a text, b {})", "t[]", lambda leaf: [("x", leaf), ("y", leaf)]),
    "a domain over a composite": ("create type t as (b {}); create domain d as t", "d", lambda leaf: (leaf,)),
    "a range": ("create type r as range (subtype = {})", "r", lambda leaf: Range(leaf, None)),
    "an array of ranges": ("create type r as range (subtype = {})", "r[]", lambda leaf: [Range(leaf, None)]),
    "a multirange": (
        "create type r as range (subtype = {}, multirange_type_name = m)",
        "m",
        lambda leaf: [Range(leaf, None)],
    ),
    "a range in a composite": (
        "create type r as range (subtype = {}, multirange_type_name = m); create type t as (r r, m m)",
        "t",
        lambda leaf: (Range(leaf, None), [Range(None, leaf)]),
    ),
}


async def bound(db: Database, write_queries: WriteQueries, nest: str, leaf: str, annotation: Any = Any) -> Any:
    setup, type_, _ = NESTS[nest]
    await db.execute(setup.format(leaf) or "select 1")
    type_ = type_.format(leaf)
    await db.execute(f"create table things (v {type_})")
    queries = write_queries(f"-- name: get_echo\nselect :v::{type_};\n-- name: put\ncopy things (v) from stdin;\n")

    @dataclass(frozen=True, slots=True)
    class Thing:
        v: Any

    async def get_echo(db: Executor, *, v: Any) -> Any: ...
    async def put(db: Executor, *, rows: Any) -> int: ...

    get_echo.__annotations__.update(db=Executor, v=annotation, **{"return": Any})
    put.__annotations__.update(db=Executor, rows=Iterable[Thing], **{"return": int})
    return queries.bind(get_echo), queries.bind(put), Thing


@pytest.mark.parametrize("leaf", LEAVES)
@pytest.mark.parametrize("nest", NESTS)
async def test_what_the_driver_would_store_as_another_value_is_refused(
    db: Database, write_queries: WriteQueries, nest: str, leaf: str
) -> None:
    get_echo, put, thing = await bound(db, write_queries, nest, leaf)
    make = NESTS[nest][2]
    good, wrong = LEAVES[leaf]

    for value in wrong:
        with pytest.raises(BadArgument, match=r"^get_echo\(v=\.\.\.\): ") as refused:
            await get_echo(db, v=make(value))
        assert str(value) not in str(refused.value)
        with pytest.raises(BadRow, match="row 1, column v: "):
            await put(db, rows=[thing(make(value))])
    assert await get_echo(db, v=make(good)) is not None
    assert await put(db, rows=[thing(make(good))]) == 1


@pytest.mark.parametrize(
    ("nest", "annotation", "value", "problem"),
    [
        ("an array of a domain", list[float], [1.5], "is int4 here: declare it int"),
        ("a composite", tuple[str, float], ("x", 1.5), "is int4 here: declare it int"),
        ("a composite", tuple[int, int], (1, 1), "is text here: declare it str"),
        ("an array of composites", list[tuple[str, str]], [("x", "y")], "is int4 here: declare it int"),
        (
            "a composite in a composite",
            tuple[str, tuple[Decimal]],
            ("x", (Decimal(1),)),
            "is int4 here: declare it int",
        ),
        ("an array in a composite", tuple[str, list[float]], ("x", [1.5]), "is int4 here: declare it int"),
        ("a matrix", list[list[str]], [["x"]], "is int4 here: declare it int"),
        ("a matrix", int, 1, "is int4[] here: declare it list[int]"),
    ],
)
async def test_an_annotation_that_does_not_fit_inside_is_refused_with_the_type_at_fault(
    *, db: Database, write_queries: WriteQueries, nest: str, annotation: Any, value: object, problem: str
) -> None:
    get_echo, _, _ = await bound(db, write_queries, nest, "int4", annotation)

    with pytest.raises(BindingError, match=r"argument 'v' ") as refused:
        await get_echo(db, v=value)

    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("sql", "annotation", "problem"),
    [
        ("select 'abc'", tuple[str, ...], "is text, the field is tuple[str, ...]"),
        ("select 'abc'", list[str] | None, "is text, the field is list[str] | None"),
        ("select 'abc'", frozenset[str], "is text, the field is frozenset[str]"),
        ("select 1", list[int] | None, "is int4, the field is list[int] | None"),
        ("select array[1]", str, "is int4[], the field is str"),
        ("select array['a']", tuple[int, ...], "is text[], the field is int"),
        ("select array[[1]]", tuple[tuple[str, ...], ...], "is int4[], the field is str"),
    ],
)
async def test_a_column_of_another_shape_than_its_field_is_refused(
    db: Database, write_queries: WriteQueries, sql: str, annotation: Any, problem: str
) -> None:
    @dataclass(frozen=True, slots=True)
    class Row:
        a: Any
        b: int

    Row.__annotations__["a"] = annotation

    async def get_row(db: Executor) -> Any: ...

    get_row.__annotations__.update(db=Executor, **{"return": Row})
    queries = write_queries(f"-- name: get_row\n{sql} as a, 1 as b")

    with pytest.raises(BindingError) as refused:
        await queries.bind(get_row)(db)

    assert f"column 'a' {problem}" in str(refused.value)


async def test_infinity_is_a_moment_with_a_time_zone_where_others_are_and_is_written_back(
    db: Database, write_queries: WriteQueries
) -> None:
    await db.execute(
        "create table offers (number int, ends timestamptz, days timestamptz[], spans tstzrange, gaps tstzmultirange)"
    )
    queries = write_queries("""
        \n-- name: list_offers
        select * from offers order by ends;
        \n-- name: add_offer
        insert into offers values (:number, :ends, :days, :spans, :gaps);
        \n-- name: list_local
        select ends::timestamp from offers order by ends;
    """)

    @dataclass(frozen=True, slots=True)
    class Offer:
        number: int
        ends: datetime | None
        days: list[datetime | None] | None
        spans: Range[datetime] | None
        gaps: list[Range[datetime]] | None

    async def list_offers(db: Executor) -> Any: ...
    async def add_offer(db: Executor, *, number: int, ends: Any, days: Any, spans: Any, gaps: Any) -> None: ...
    async def list_local(db: Executor) -> Any: ...

    list_offers.__annotations__.update(db=Executor, **{"return": list[Offer]})
    list_local.__annotations__.update(db=Executor, **{"return": list[datetime | None]})
    add_offer.__annotations__ = dict.fromkeys(("number", "ends", "days", "spans", "gaps"), Any) | {
        "db": Executor,
        "number": int,
        "return": None,
    }
    add, listed = queries.bind(add_offer), queries.bind(list_offers)
    await db.execute("""
        insert into offers values
        (1, '-infinity', '{infinity, 2024-01-01, null}', '[-infinity, infinity]', '{[2024-01-01, infinity]}'),
        (2, '2024-01-01', null, 'empty', '{}'),
        (3, 'infinity', '{{-infinity}, {infinity}}', null, null)
    """)

    offers = await listed(db)
    assert offers == sorted(offers, key=lambda offer: offer.ends)
    assert offers[0].days[0].tzinfo is offers[0].gaps[0].upper.tzinfo is UTC
    for offer in offers:
        await add(db, number=offer.number, ends=offer.ends, days=offer.days, spans=offer.spans, gaps=offer.gaps)
    assert await db.fetchval("select count(distinct offers) from offers") == 3
    # Without a time zone as all others there.
    assert [moment.tzinfo for moment in await queries.bind(list_local)(db)] == [None] * 6
