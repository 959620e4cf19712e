"""Statements and the functions bound to them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.db import BindingError, Database, Executor, NotFound, Queries, TooManyRows

pytestmark = pytest.mark.one_loop

Load = Callable[[str], Queries]


@dataclass(frozen=True, slots=True)
class Tag:
    id: int
    name: str


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Queries of a file `tags.sql` in the current directory."""
    monkeypatch.chdir(tmp_path)

    def load(text: str) -> Queries:
        path = tmp_path / "tags.sql"
        path.write_text(text)
        return Queries(path, resource="tag")

    return load


@pytest.fixture
async def tags(db: Database) -> None:
    """A table with the tags 1 a, 2 b and 3 c."""
    await db.execute("create table tags (id int primary key, name text not null)")
    await db.execute("insert into tags values (1, 'a'), (2, 'b'), (3, 'c')")


def refusal(queries: Queries, function: Callable[..., Any]) -> str:
    """What is wrong with the function, without the place where it stands, which comes first."""
    with pytest.raises(BindingError) as error:
        queries.bind(function)
    place, _, problem = str(error.value).partition(": ")
    assert place == f"{__file__}:{function.__code__.co_firstlineno}"
    return problem


# Functions that cannot be bound


def test_a_function_has_the_name_of_a_statement(load: Load) -> None:
    queries = load("-- name: get_tag\nselect 1\n\n-- name: list_tags\nselect 2")

    async def get_tags(db: Executor) -> int: ...
    async def unlike(db: Executor) -> int: ...

    assert refusal(queries, get_tags) == "there is no statement 'get_tags' in tags.sql; did you mean 'get_tag'?"
    assert refusal(queries, unlike) == "there is no statement 'unlike' in tags.sql"


def test_the_arguments_are_the_placeholders(load: Load) -> None:
    queries = load("-- name: get_tag\nselect :name::text, :kind::int")

    async def get_tag(db: Executor, *, name: str, sort: int) -> int: ...

    assert refusal(queries, get_tag) == "tags.sql:1:1: get_tag: :kind has no argument; argument 'sort' has no :sort"


def test_arguments_are_keyword_only_and_have_no_defaults(load: Load) -> None:
    queries = load("-- name: get_tag\nselect :name::text")
    problem = "after the executor, get_tag takes keyword-only arguments without defaults"

    def positional() -> Callable[..., Any]:
        async def get_tag(db: Executor, name: str) -> int: ...

        return get_tag

    def defaulted() -> Callable[..., Any]:
        async def get_tag(db: Executor, *, name: str = "a") -> int: ...

        return get_tag

    def variadic() -> Callable[..., Any]:
        async def get_tag(db: Executor, **name: str) -> int: ...

        return get_tag

    for function in (positional(), defaulted(), variadic()):
        assert refusal(queries, function) == problem


def test_the_executor_comes_first(load: Load) -> None:
    queries = load("-- name: get_tag\nselect 1\n\n-- name: find_tag\nselect :db::text")

    async def get_tag() -> int: ...
    async def find_tag(*, db: Executor) -> int: ...

    assert refusal(queries, get_tag) == "get_tag takes the executor first: (db: Executor, *, …)"
    assert refusal(queries, find_tag) == "find_tag takes the executor first: (db: Executor, *, …)"


def test_a_function_says_what_it_returns(load: Load) -> None:
    queries = load("-- name: get_tag\nselect 1")

    async def get_tag(db: Executor) -> Any: ...

    del get_tag.__annotations__["return"]

    assert refusal(queries, get_tag) == "the return type is missing; it says how many rows there are"


def test_a_function_is_a_coroutine_function(load: Load) -> None:
    queries = load("-- name: get_tag\nselect 1")

    def get_tag(db: Executor) -> Any: ...

    assert refusal(queries, get_tag) == "get_tag must be declared `async def`"


def test_a_statement_is_bound_once(load: Load) -> None:
    queries = load("-- name: get_tag\nselect 1")

    async def get_tag(db: Executor) -> int: ...

    queries.bind(get_tag)

    assert refusal(queries, get_tag) == "'get_tag' is bound already"


def test_a_function_that_was_refused_can_be_bound_when_it_is_right(load: Load) -> None:
    queries = load("-- name: get_tag\nselect 1")

    async def get_tag(db: Executor) -> Any: ...

    returned = get_tag.__annotations__.pop("return")
    assert refusal(queries, get_tag)
    get_tag.__annotations__["return"] = returned

    assert queries.bind(get_tag)


# Functions that are bound


def test_a_bound_function_looks_like_the_one_that_was_written(load: Load) -> None:
    queries = load("-- name: get_tag\nselect :id::int, :name::text")

    async def get_tag(db: Executor, *, name: str, id: int) -> Tag | None:  # noqa: A002 - a column's name
        """The tag."""
        ...

    bound: Any = queries.bind(get_tag)

    assert (bound.__name__, bound.__doc__, bound.__module__) == ("get_tag", "The tag.", __name__)
    assert bound.__qualname__ == get_tag.__qualname__
    assert inspect.signature(bound) == inspect.signature(get_tag)
    assert inspect.iscoroutinefunction(bound)


async def test_a_bound_function_runs_on_the_database_a_connection_and_a_transaction(
    load: Load, db: Database, tags: None
) -> None:
    queries = load("-- name: get_tag\nselect id, name from tags where id = :key")

    @queries.bind
    async def get_tag(db: Executor, *, key: int) -> Tag: ...

    assert await get_tag(db, key=1) == Tag(1, "a")
    async with db.acquire() as connection:
        assert await get_tag(connection, key=2) == Tag(2, "b")
    async with db.transaction() as tx, tx.transaction() as savepoint:
        assert [await get_tag(tx, key=3), await get_tag(savepoint, key=3)] == [Tag(3, "c")] * 2


async def test_arguments_go_by_name_whatever_their_order(load: Load, db: Database) -> None:
    queries = load("-- name: get_text\nselect concat_ws('-', :c::text, :a::text, :b::text, :a::text)")

    @queries.bind
    async def get_text(db: Executor, *, a: str, b: str, c: str) -> str: ...

    assert await get_text(db, b="2", a="1", c="3") == "3-1-2-1"


async def test_wrong_keywords_are_type_errors(load: Load, db: Database) -> None:
    queries = load("-- name: get_text\nselect :text::text")

    @queries.bind
    async def get_text(db: Executor, *, text: str) -> str: ...

    call: Any = get_text
    for wrong in (
        lambda: call(db),
        lambda: call(db, "a"),
        lambda: call(db, txt="a"),
        lambda: call(db, text="a", more=1),
        lambda: call(text="a"),
    ):
        with pytest.raises(TypeError, match=r"get_text\(\)"):
            await wrong()


async def test_no_name_is_reserved(load: Load, db: Database) -> None:
    names = ("query", "one", "optional", "db", "rows", "record")
    for name in names:
        queries = load(f"-- name: {name}\nselect concat({', '.join(f':{each}::text' for each in names)})")
        for cardinality in ("str", "str | None", "list[str]", "None"):
            scope: dict[str, Any] = {}
            exec(
                f"async def {name}(executor, *, {', '.join(f'{each}: str' for each in names)}) -> {cardinality}: ...",
                scope,
            )
            bound: Any = queries.bind(scope[name])
            queries.bound.clear()
            expected = {"list[str]": ["012345"], "None": None}.get(cardinality, "012345")
            assert await bound(executor=db, **{each: str(n) for n, each in enumerate(names)}) == expected


# How many rows


async def test_none_runs_the_statement_and_returns_nothing(load: Load, db: Database, tags: None) -> None:
    queries = load(
        "-- name: delete_tags\ndelete from tags where id > :key\n\n"
        "-- name: delete_tag\ndelete from tags where id = 1 returning id, name"
    )

    @queries.bind
    async def delete_tags(db: Executor, *, key: int) -> None: ...

    @queries.bind
    async def delete_tag(db: Executor) -> None: ...

    outcomes: list[object] = [await delete_tags(db, key=2), await delete_tags(db, key=2), await delete_tag(db)]

    assert outcomes == [None, None, None]
    assert await db.fetchval("select array_agg(id) from tags") == [2]


async def test_int_is_a_selected_number(load: Load, db: Database, tags: None) -> None:
    queries = load("-- name: count_tags\nselect count(*) from tags where id > :key")

    @queries.bind
    async def count_tags(db: Executor, *, key: int) -> int: ...

    assert [await count_tags(db, key=1), await count_tags(db, key=9)] == [2, 0]


async def test_int_is_the_number_of_rows_touched(load: Load, db: Database, tags: None) -> None:
    queries = load(
        "-- name: update_tags\nupdate tags set name = 'x' where id > :key\n\n"
        "-- name: create_tag\ninsert into tags values (:key, 'd') on conflict do nothing\n\n"
        "-- name: analyse_tags\nanalyze tags"
    )

    @queries.bind
    async def update_tags(db: Executor, *, key: int) -> int: ...

    @queries.bind
    async def create_tag(db: Executor, *, key: int) -> int: ...

    @queries.bind
    async def analyse_tags(db: Executor) -> int: ...

    assert [await update_tags(db, key=1), await update_tags(db, key=9)] == [2, 0]
    assert [await create_tag(db, key=4), await create_tag(db, key=4)] == [1, 0]
    assert await analyse_tags(db) == 0


async def test_int_of_a_statement_that_returns_rows_is_their_value_not_their_number(
    load: Load, db: Database, tags: None
) -> None:
    queries = load("-- name: delete_tag\ndelete from tags where id = :key returning 70 + id")

    @queries.bind
    async def delete_tag(db: Executor, *, key: int) -> int: ...

    assert await delete_tag(db, key=3) == 73
    with pytest.raises(NotFound):
        await delete_tag(db, key=3)


async def test_an_optional_number_can_be_missing_or_null(load: Load, db: Database, tags: None) -> None:
    queries = load("-- name: find_number\nselect nullif(id, 2) from tags where id = :key")

    @queries.bind
    async def find_number(db: Executor, *, key: int) -> int | None: ...

    assert [await find_number(db, key=key) for key in (1, 2, 9)] == [1, None, None]


async def test_one_row_is_promised_so_none_is_not_found(load: Load, db: Database, tags: None) -> None:
    queries = load("-- name: get_tag\nselect id, name from tags where id = :key")

    @queries.bind
    async def get_tag(db: Executor, *, key: int) -> Tag: ...

    assert await get_tag(db, key=1) == Tag(1, "a")
    with pytest.raises(NotFound) as error:
        await get_tag(db, key=9)
    assert (error.value.resource, str(error.value)) == ("tag", "tag not found")


async def test_what_is_not_found_is_called_like_the_file_by_default(tmp_path: Path, db: Database) -> None:
    path = tmp_path / "colours.sql"
    path.write_text("-- name: get_colour\nselect 1 where false")

    @Queries(path).bind
    async def get_colour(db: Executor) -> int: ...

    with pytest.raises(NotFound, match=r"^colours not found$"):
        await get_colour(db)


async def test_where_one_row_is_promised_two_are_an_error_never_the_first(load: Load, db: Database, tags: None) -> None:
    queries = load(
        "-- name: get_tag\nselect id, name from tags where id < :key\n\n"
        "-- name: find_tag\nselect id, name from tags where id < :key\n\n"
        "-- name: count_tags\nselect id from tags where id < :key"
    )

    @queries.bind
    async def get_tag(db: Executor, *, key: int) -> Tag: ...

    @queries.bind
    async def find_tag(db: Executor, *, key: int) -> Tag | None: ...

    @queries.bind
    async def count_tags(db: Executor, *, key: int) -> int: ...

    assert await find_tag(db, key=0) is None
    assert await find_tag(db, key=2) == await get_tag(db, key=2) == Tag(1, "a")
    for function, line in ((get_tag, 1), (find_tag, 4), (count_tags, 7)):
        for key, found in ((3, 2), (4, 3)):
            with pytest.raises(TooManyRows) as error:
                await function(db, key=key)
            name = function.__name__
            assert str(error.value) == f"tags.sql:{line}:1: {name} promises one row and found {found}"


async def test_rows_cannot_come_from_a_statement_without_columns(load: Load, db: Database, tags: None) -> None:
    queries = load("".join(f"-- name: delete_{n}\ndelete from tags\n\n" for n in ("one", "optional", "many")))

    @queries.bind
    async def delete_one(db: Executor) -> Tag: ...

    @queries.bind
    async def delete_optional(db: Executor) -> int | None: ...

    @queries.bind
    async def delete_many(db: Executor) -> list[int]: ...

    for function in (delete_one, delete_optional, delete_many):
        with pytest.raises(BindingError, match=r"returns no columns; declare the function -> None, or -> int for a"):
            await function(db)
    assert await db.fetchval("select count(*) from tags") == 3


# When the server does not understand


async def refused_by_server(load: Load, db: Database, sql: str) -> str:
    @load(sql).bind
    async def get_tag(db: Executor) -> int: ...

    with pytest.raises(BindingError) as error:
        await get_tag(db)
    assert isinstance(error.value.__cause__, asyncpg.PostgresError)
    return str(error.value)


async def test_a_syntax_error_is_shown_where_it_stands(load: Load, db: Database) -> None:
    sql = "-- Tags.\n\n-- name: get_tag\nselect 1 -- ü\n\tform pg_class;\n"

    assert await refused_by_server(load, db, sql) == (
        'tags.sql:5:7: syntax error at or near "pg_class"\n\tform pg_class;\n\t     ^'
    )


async def test_an_unknown_table_is_shown_where_it_stands(load: Load, db: Database) -> None:
    sql = "-- name: get_tag\nselect 'ü', /* not yet */ 1\nfrom  missing as m"

    assert await refused_by_server(load, db, sql) == (
        'tags.sql:3:7: relation "missing" does not exist\nfrom  missing as m\n      ^'
    )


async def test_an_error_in_a_fragment_is_shown_in_the_fragment(load: Load, db: Database) -> None:
    sql = "-- name: get_tag\nselect\n-- include: columns\nfrom pg_class\n\n-- fragment: columns\noid, nothing"

    assert await refused_by_server(load, db, sql) == (
        'tags.sql:7:6: column "nothing" does not exist\noid, nothing\n     ^'
    )


async def test_an_error_without_a_position_is_shown_at_the_statement(load: Load, db: Database) -> None:
    @load("\n-- name: get_tag\nselect :name is null").bind
    async def get_tag(db: Executor, *, name: str) -> bool: ...

    with pytest.raises(BindingError) as error:
        await get_tag(db, name="a")
    assert str(error.value).splitlines()[0] == "tags.sql:2:1: get_tag: could not determine data type of parameter $1"


# When a migration changes the tables under the statements


async def test_a_changed_type_is_survived_on_every_connection(load: Load, db: Database, tags: None) -> None:
    queries = load("-- name: get_tag\nselect id, name from tags where name = 'c'\n\n-- name: get_two\nselect 2")

    @queries.bind
    async def get_tag(db: Executor) -> Tag: ...

    @queries.bind
    async def get_two(db: Executor) -> int: ...

    async with db.acquire() as first, db.acquire() as second:
        assert await get_tag(first) == await get_tag(second) == Tag(3, "c")
        assert await get_two(first) == 2
        await db.execute("alter table tags alter column id type bigint")
        await db.execute("update tags set id = 2^40 where name = 'c'")
        assert await get_tag(first) == await get_tag(second) == Tag(2**40, "c")
        assert await get_two(first) == 2


async def test_a_new_column_in_select_star_is_refused_by_name(load: Load, db: Database, tags: None) -> None:
    queries = load(
        "-- name: get_tag\nselect * from tags where id = 1\n\n-- name: find_name\nselect name from tags limit 1"
    )

    @queries.bind
    async def get_tag(db: Executor) -> Tag: ...

    @queries.bind
    async def find_name(db: Executor) -> str | None: ...

    assert [await get_tag(db), await find_name(db)] == [Tag(1, "a"), "a"]
    await db.execute("alter table tags add column colour text")

    for _ in range(2):
        with pytest.raises(BindingError) as error:
            await get_tag(db)
        assert str(error.value).splitlines()[0] == (
            "tags.sql:1:1: get_tag: Tag does not fit the columns: no field for column 'colour'"
        )
    assert await find_name(db) == "a"


async def test_a_renamed_column_is_shown_where_the_statement_names_it(load: Load, db: Database, tags: None) -> None:
    queries = load("-- name: get_name\nselect name from tags where id = 1")

    @queries.bind
    async def get_name(db: Executor) -> str: ...

    assert await get_name(db) == "a"
    await db.execute("alter table tags rename column name to title")

    for _ in range(2):
        with pytest.raises(BindingError) as error:
            await get_name(db)
        assert str(error.value).startswith('tags.sql:2:8: column "name" does not exist\n')
    await db.execute("alter table tags rename column title to name")
    assert await get_name(db) == "a"


async def test_a_changed_type_ends_a_transaction_and_the_next_one_goes_well(
    load: Load, db: Database, tags: None
) -> None:
    queries = load("-- name: get_tag\nselect id, name from tags where id = 1")

    @queries.bind
    async def get_tag(db: Executor) -> Tag: ...

    async with db.acquire() as connection:
        await get_tag(connection)
        await db.execute("alter table tags alter column id type bigint")
        with pytest.raises(asyncpg.InvalidCachedStatementError):
            async with connection.transaction() as tx:
                await get_tag(tx)
        async with connection.transaction() as tx:
            assert await get_tag(tx) == Tag(1, "a")


async def test_a_changed_row_type_fails_once_and_no_write_is_repeated(load: Load, db: Database, tags: None) -> None:
    queries = load("-- name: create_tag\ninsert into tags select max(id) + 1, 'x' from tags returning tags")

    @queries.bind
    async def create_tag(db: Executor) -> Any: ...

    async with db.acquire() as connection:
        assert tuple(await create_tag(connection)) == (4, "x")
        await db.execute("alter table tags add column colour text default 'red'")
        with pytest.raises(asyncpg.OutdatedSchemaCacheError):
            await create_tag(connection)
        assert tuple(await create_tag(connection)) == (6, "x", "red")
