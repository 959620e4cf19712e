"""What the rows of a statement become."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Optional

import asyncpg
import pytest

from app.db import BindingError, Database, Executor, NotFound, Queries

pytestmark = pytest.mark.one_loop

Load = Callable[[str], Queries]

ANN = "1 as id, 'ann' as name"


@dataclass(frozen=True, slots=True)
class Person:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Comment:
    body: str
    author: Person
    id: int


@dataclass(frozen=True, slots=True)
class Thread:
    title: str
    first: Comment


@dataclass(frozen=True, slots=True)
class Friend(Person):
    since: int


class Colleague(Person):
    """Has the constructor of its parent."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Counted:
    name: str
    length: int = field(init=False, default=7)
    shout: str = "default"


@dataclass(frozen=True, slots=True)
class Ordered:
    last: int = field(kw_only=True)
    author: Person = field(kw_only=True)
    first: int


@dataclass(frozen=True, slots=True)
class Numbered:
    last: int = field(kw_only=True)
    first: int
    counted: int = field(init=False, default=7)


class Mood(StrEnum):
    GLAD = "glad"
    SAD = "sad"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Queries of a file `things.sql` in the current directory."""
    monkeypatch.chdir(tmp_path)

    def load(text: str) -> Queries:
        path = tmp_path / "things.sql"
        path.write_text(text)
        return Queries(path)

    return load


async def read(load: Load, db: Database, row_type: Any, sql: str) -> Any:
    """What a function `get_thing` that is declared to return `row_type` gives for `sql`."""

    async def get_thing(db: Executor) -> Any: ...

    get_thing.__annotations__["return"] = row_type
    return await load(f"-- name: get_thing\n{sql}").bind(get_thing)(db)


# Dataclasses


async def test_columns_fill_the_fields_of_their_names_in_whatever_order(load: Load, db: Database) -> None:
    assert await read(load, db, Person, f"select {ANN}") == Person(id=1, name="ann")
    assert await read(load, db, Person, "select 'ann' as name, 1 as id") == Person(id=1, name="ann")


async def test_a_row_is_a_value_that_does_not_change(load: Load, db: Database) -> None:
    person = await read(load, db, Person, f"select {ANN}")

    with pytest.raises(FrozenInstanceError):
        person.name = "bob"
    assert {person} == {Person(1, "ann")}


async def test_dotted_columns_fill_a_nested_row(load: Load, db: Database) -> None:
    sql = """select 3 as "author.id", 2 as id, 'bob' as "author.name", 'hi' as body"""

    assert await read(load, db, Comment, sql) == Comment("hi", Person(3, "bob"), 2)


async def test_rows_nest_in_nested_rows(load: Load, db: Database) -> None:
    sql = """select 'hi' as "first.body", 1 as "first.author.id", 'T' as title, 'bob' as "first.author.name",
                    2 as "first.id" """

    assert await read(load, db, Thread, sql) == Thread("T", Comment("hi", Person(1, "bob"), 2))


async def test_fields_can_be_inherited(load: Load, db: Database) -> None:
    friend = await read(load, db, Friend, f"select 2020 as since, {ANN}")

    assert (type(friend), friend) == (Friend, Friend(1, "ann", 2020))
    assert await read(load, db, Colleague, f"select {ANN}") == Colleague(1, "ann")


async def test_a_field_that_the_constructor_does_not_take_has_no_column(load: Load, db: Database) -> None:
    assert await read(load, db, Counted, "select 'hi' as shout, 'ann' as name") == Counted("ann", "hi")


async def test_a_field_with_a_default_still_has_a_column(load: Load, db: Database) -> None:
    with pytest.raises(BindingError, match=r"no column for field Counted\.shout\n"):
        await read(load, db, Counted, "select 'ann' as name")


async def test_fields_can_be_keyword_only(load: Load, db: Database) -> None:
    sql = """select 2 as last, 1 as first, 1 as "author.id", 'ann' as "author.name" """

    assert await read(load, db, Ordered, sql) == Ordered(1, last=2, author=Person(1, "ann"))
    assert await read(load, db, Numbered, "select 2 as last, 1 as first") == Numbered(1, last=2)


# Lists, options and scalars


async def test_many_rows_are_a_list_in_the_order_of_the_statement(load: Load, db: Database) -> None:
    sql = "values (2, 'bob'), (1, 'ann'), (3, 'cyd')"

    people = await read(load, db, list[Person], f"select * from ({sql}) as t (id, name)")
    assert people == [Person(2, "bob"), Person(1, "ann"), Person(3, "cyd")]
    assert await read(load, db, list[Person], f"select {ANN} where false") == []
    assert await read(load, db, list[int], "select generate_series(3, 1, -1)") == [3, 2, 1]


@pytest.mark.parametrize("row_type", [Person | None, Optional[Person], None | Person])  # noqa: UP045 - both spellings
async def test_an_optional_row_is_the_row_or_none(load: Load, db: Database, row_type: Any) -> None:
    assert await read(load, db, row_type, f"select {ANN}") == Person(1, "ann")
    assert await read(load, db, row_type, f"select {ANN} where false") is None


async def test_a_row_of_one_column_can_be_its_value(load: Load, db: Database) -> None:
    values: dict[str, Any] = {
        "'ann'": "ann",
        "true": True,
        "2.50::numeric(5, 2)::text": "2.50",
        "'\\x00ff'::bytea": b"\0\xff",
        "null::text": None,
        "array[1, 2]": [1, 2],
    }
    for sql, value in values.items():
        assert await read(load, db, type(value), f"select {sql} where true") == value or value is None
        assert await read(load, db, str | bool | bytes | list[int] | None, f"select {sql}") == value
    assert await read(load, db, str | bytes, "select 'ann'") == "ann"
    assert await read(load, db, list[list[str]], "select array['a', 'b'] union all select '{}'") == [["a", "b"], []]


async def test_a_union_without_none_still_promises_a_row(load: Load, db: Database) -> None:
    with pytest.raises(NotFound, match=r"^things not found$"):
        await read(load, db, str | int, "select 7 where false")


# Types of values


@pytest.mark.parametrize("type_name", ["json", "jsonb"])
async def test_json_comes_and_goes_as_python_values(load: Load, db: Database, type_name: str) -> None:
    queries = load(f"-- name: get_echo\nselect :value::{type_name}")

    @queries.bind
    async def get_echo(db: Executor, *, value: Any) -> Any: ...

    values: tuple[Any, ...] = ({"a": [1, 2.5, None, True, {"ü": "'"}]}, [], "text", "", 0, False, "{}")
    for value in values:
        echo = await get_echo(db, value=value)
        assert (type(echo), echo) == (type(value), value)


async def test_json_and_arrays_fill_fields(load: Load, db: Database) -> None:
    @dataclass(frozen=True, slots=True)
    class Document:
        tags: list[str]
        content: dict[str, Any]

    sql = """select '{"a": {"b": [1]}}'::jsonb as content, array['x', 'y'] as tags"""
    assert await read(load, db, Document, sql) == Document(["x", "y"], {"a": {"b": [1]}})


async def test_enums_and_arrays_of_them_come_and_go_as_text(load: Load, db: Database) -> None:
    await db.execute("create type mood as enum ('glad', 'sad')")
    queries = load("-- name: get_moods\nselect :first::mood || :others::mood[]")

    @queries.bind
    async def get_moods(db: Executor, *, first: Mood, others: list[Mood]) -> Any: ...

    moods = await get_moods(db, first=Mood.SAD, others=[Mood.GLAD, Mood.SAD])

    assert moods == [Mood.SAD, Mood.GLAD, Mood.SAD]
    assert Mood(moods[1]) is Mood.GLAD


async def test_a_time_comes_back_as_the_same_instant_and_aware(load: Load, db: Database) -> None:
    queries = load("-- name: get_echo\nselect :at::timestamptz")

    @queries.bind
    async def get_echo(db: Executor, *, at: datetime) -> datetime: ...

    at = datetime.fromisoformat("2024-02-29T23:30:00.123456-05:00")
    echo = await get_echo(db, at=at)

    assert echo == at
    assert echo.tzinfo is UTC


# What the fields make of values


@dataclass(frozen=True, slots=True)
class Money:
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Post:
    title: str
    author: Person | None


@dataclass(frozen=True, slots=True)
class Rated:
    title: str
    stars: int | None


@dataclass(frozen=True, slots=True)
class Measured:
    length: float


@dataclass(frozen=True, slots=True)
class Reply:
    id: int
    to: Post | None


@dataclass(frozen=True, slots=True)
class Checked(Person):
    shout: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "shout", self.shout.upper())


@dataclass(frozen=True, slots=True)
class Values:
    mood: Mood | None
    moods: list[Mood]
    unique: frozenset[int]
    ordered: tuple[str, ...]
    price: Money | None
    prices: list[Money]
    span: Any
    email: str


async def test_a_nested_row_that_is_wholly_null_is_none_where_the_field_allows_it(load: Load, db: Database) -> None:
    sql = """select * from (values ('a', 1, 'ann'), ('b', null, null), ('c', null, 'bob'))
             as t (title, "author.id", "author.name")"""

    posts = await read(load, db, list[Post], sql)

    assert posts == [Post("a", Person(1, "ann")), Post("b", None), Post("c", Person(None, "bob"))]  # pyright: ignore[reportArgumentType] - what the outer join gave


async def test_optional_rows_nest(load: Load, db: Database) -> None:
    sql = """select * from (values (1, 'a', 2, 'bob'), (2, 'b', null, null), (3, null, null, null))
             as t (id, "to.title", "to.author.id", "to.author.name")"""

    assert await read(load, db, list[Reply], sql) == [
        Reply(1, Post("a", Person(2, "bob"))),
        Reply(2, Post("b", None)),
        Reply(3, None),
    ]


async def test_post_init_runs(load: Load, db: Database) -> None:
    row = await read(load, db, Checked, f"select {ANN}, 'hey' as shout")

    assert (type(row), row, hash(row)) == (Checked, Checked(1, "ann", "hey"), hash(Checked(1, "ann", "HEY")))


async def test_enums_collections_composites_ranges_and_domains_fill_fields(load: Load, db: Database) -> None:
    await db.execute("create type money_of as (amount int, currency text); create domain email as text")
    sql = """select 'sad' as mood, array['glad', 'sad'] as moods, array[1, 2, 1] as unique, array['b', 'a'] as ordered,
                    row(5, 'EUR')::money_of as price, array[row(1, 'CHF')::money_of] as prices,
                    int4range(1, 3) as span, 'a@b'::email as email"""

    row = await read(load, db, Values, sql)

    assert row == Values(
        Mood.SAD, [Mood.GLAD, Mood.SAD], frozenset({1, 2}), ("b", "a"), Money(5, "EUR"), [Money(1, "CHF")],
        asyncpg.Range(1, 3), "a@b",
    )  # fmt: skip
    assert row.mood is Mood.SAD
    assert await read(load, db, Mood, "select 'glad'") is Mood.GLAD
    assert await read(load, db, tuple, "select array[1, 2]") == (1, 2)
    assert await read(load, db, list[Mood | None], "values ('glad'), (null)") == [Mood.GLAD, None]


@pytest.mark.parametrize(
    ("row_type", "sql", "column"),
    [
        (Person, "select 'x' as id, 'ann' as name", "id"),
        (Comment, """select 3 as id, 'hi' as body, 'x' as "author.id", 'ann' as "author.name" """, "author.id"),
        (Post, """select 'hi' as title, 'x' as "author.id", 'ann' as "author.name" """, "author.id"),
        (Rated, "select 'hi' as title, 'x' as stars", "stars"),
        (Measured, "select 'x' as length", "length"),
    ],
)
async def test_a_column_of_another_type_than_its_field_is_refused(
    load: Load, db: Database, row_type: Any, sql: str, column: str
) -> None:
    with pytest.raises(BindingError, match=f"get_thing: column '{column}' is text, the field is (int|float)"):
        await read(load, db, row_type, sql)


async def test_an_int_is_a_float_as_type_checkers_see_it(load: Load, db: Database) -> None:
    assert await read(load, db, Measured, "select 1 as length") == Measured(1)
    with pytest.raises(BindingError, match="column 'name' is int4, the field is str"):
        await read(load, db, Person, "select 1 as id, 2 as name")


async def test_a_composite_of_other_attributes_is_refused(load: Load, db: Database) -> None:
    await db.execute("create type money_of as (amount int, country text)")
    with pytest.raises(BindingError, match=r"Money does not fit the value: it is made of \(amount, country\)"):
        await read(load, db, Money | None, "select 1 as amount, 'x' as currency where false")
        await read(load, db, list[list[Money]], "select array[row(5, 'EUR')::money_of]")
    with pytest.raises(BindingError, match="Money does not fit the value: it is made of int, not a composite"):
        await read(load, db, list[list[Money]], "select array[5]")


async def test_a_column_whose_type_changed_is_refused_by_name(load: Load, db: Database) -> None:
    await db.execute("create table people (id int, name text); insert into people values (1, 'ann')")
    queries = load("-- name: get_person\nselect * from people")

    @queries.bind
    async def get_person(db: Executor) -> Person: ...

    async with db.acquire() as connection:
        assert await get_person(connection) == Person(1, "ann")
        await db.execute("alter table people alter id type text")
        with pytest.raises(BindingError, match="column 'id' was int4 and is text since a migration"):
            await get_person(connection)


# Rows that do not fit


@pytest.mark.parametrize(
    ("row_type", "columns", "problem"),
    [
        (Person, "1 as id", "Person does not fit the columns: no column for field Person.name"),
        (Person, f"{ANN}, 2 as age", "Person does not fit the columns: no field for column 'age'"),
        (Person, f"{ANN}, 2 as id", "Person does not fit the columns: column 'id' comes twice"),
        (
            Person,
            "1 as id, 'ann'",
            "Person does not fit the columns: no column for field Person.name; no field for column '?column?'",
        ),
        (
            Comment,
            """1 as id, 'hi' as body, 'ann' as author, 2 as "author.id" """,
            "Comment does not fit the columns: no column for field Comment.author.name; no field for column 'author'",
        ),
        (
            Thread,
            """'T' as title, 'hi' as "first.body", 2 as "first.id", 3 as "first.author.id" """,
            "Thread does not fit the columns: no column for field Thread.first.author.name",
        ),
        (str, "'ann' as name, 1 as id", "a scalar is one column; the statement returns 2: name, id"),
        (int, "1 as id, 2 as age", "a scalar is one column; the statement returns 2: id, age"),
    ],
)
async def test_columns_that_are_not_the_fields_are_refused_by_name(
    load: Load, db: Database, row_type: Any, columns: str, problem: str
) -> None:
    for declared in (row_type, row_type | None, list[row_type]):
        with pytest.raises(BindingError) as refusal:
            await read(load, db, declared, f"select {columns} where false")
        assert str(refusal.value).splitlines()[0] == f"things.sql:1:1: get_thing: {problem}"


async def test_columns_that_are_not_the_fields_are_refused_every_time(load: Load, db: Database) -> None:
    queries = load("-- name: get_person\nselect 1 as id")

    @queries.bind
    async def get_person(db: Executor) -> Person: ...

    async with db.acquire() as connection:
        for _ in range(2):
            with pytest.raises(BindingError, match=r"no column for field Person\.name"):
                await get_person(connection)


@dataclass(slots=True)
class Changeable:
    id: int


@dataclass(frozen=True)
class Slotless:
    id: int


class Undecorated(Person):
    pass


@dataclass(frozen=True, slots=True)
class Outer:
    id: int
    inner: Slotless


@pytest.mark.parametrize(
    ("row_type", "name"),
    [(Changeable, "Changeable"), (Slotless, "Slotless"), (Undecorated, "Undecorated"), (Outer, "Slotless")],
)
def test_a_dataclass_without_frozen_and_slots_is_refused_when_it_is_bound(load: Load, row_type: Any, name: str) -> None:
    async def get_thing(db: Executor) -> Any: ...

    queries = load("-- name: get_thing\nselect 1 as id")
    place = f"{__file__}:{get_thing.__code__.co_firstlineno}"

    for declared in (row_type, row_type | None, list[row_type]):
        get_thing.__annotations__["return"] = declared
        with pytest.raises(BindingError) as refusal:
            queries.bind(get_thing)
        assert str(refusal.value) == f"{place}: {name} holds rows: declare it @dataclass(frozen=True, slots=True)"
