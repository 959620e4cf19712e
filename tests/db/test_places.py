"""Errors point to the line and column of the SQL file, and to the line of the Python file."""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from app.db import BindingError, Database, Executor, Queries

WriteQueries = Callable[[str], Queries]


@pytest.mark.parametrize(
    ("text", "place", "line", "message"),
    [
        ("select 1 frmo things", "things.sql:2:15", "select 1 frmo things", 'syntax error at or near "things"'),
        ("select\n\t'ä😀' as a,\tnope", "things.sql:3:13", "\t'ä😀' as a,\tnope", 'column "nope" does not exist'),
        ("select :a::int, /* :b */ :a\n+ nope(:b::int)", "things.sql:3:3", "+ nope(:b::int)", "function nope(integer)"),
        ("select 1 -- it's\n  + 'x'", "things.sql:3:5", "  + 'x'", "invalid input syntax for type integer"),
        ("select 1 + :a::text", "things.sql:2:10", "select 1 + :a::text", "operator does not exist: integer + text"),
        ("select 1\n-- include: rest\n\n-- fragment: rest\nfrom nowhere", "things.sql:6:6", "from nowhere", "nowhere"),
    ],
)
async def test_what_the_server_refuses_is_shown_in_the_file(
    *, write_queries: WriteQueries, db: Database, text: str, place: str, line: str, message: str
) -> None:
    queries = write_queries(f"-- name: get_thing\n{text}")
    names = queries.statements["get_thing"].parameters
    arguments = "".join(f", {name}: int" for name in names)
    scope: dict[str, Any] = {}
    exec(f"async def get_thing(db{', *' if names else ''}{arguments}) -> int: ...", scope)

    with pytest.raises(BindingError) as refusal:
        await queries.bind(scope["get_thing"])(db, **dict.fromkeys(names, 1))

    shown = str(refusal.value).splitlines()
    assert shown[0].startswith(f"{place}: ")
    assert message in shown[0]
    assert shown[-2:] == [line, "".join(" " if c != "\t" else c for c in line[: int(place.split(":")[2]) - 1]) + "^"]


async def test_what_goes_wrong_while_a_statement_runs_names_its_place(
    write_queries: WriteQueries, db: Database
) -> None:
    queries = write_queries("\n\n-- name: get_ratio\nselect 1 / :divisor::int")

    @queries.bind
    async def get_ratio(db: Executor, *, divisor: int) -> int: ...

    with pytest.raises(asyncpg.DivisionByZeroError) as refusal:
        await get_ratio(db, divisor=0)
    assert refusal.value.__notes__ == ["things.sql:3:1: in get_ratio"]


async def test_a_position_in_a_function_of_the_database_is_not_taken_for_one_in_the_file(
    write_queries: WriteQueries, db: Database
) -> None:
    await db.execute(
        "create function broken() returns int language plpgsql as 'begin return (select nope from pg_class); end'"
    )
    queries = write_queries("-- name: get_broken\nselect broken()")

    @queries.bind
    async def get_broken(db: Executor) -> int: ...

    with pytest.raises(asyncpg.UndefinedColumnError) as refusal:
        await get_broken(db)
    assert refusal.value.__notes__ == ["things.sql:1:1: in get_broken"]


async def test_columns_that_do_not_fit_name_both_files(write_queries: WriteQueries, db: Database) -> None:
    queries = write_queries("-- name: get_number\nselect 'x' as number")

    @queries.bind
    async def get_number(db: Executor) -> int: ...

    line = get_number.__wrapped__.__code__.co_firstlineno  # pyright: ignore[reportFunctionMemberAccess] - functools' own
    with pytest.raises(BindingError) as refusal:
        await get_number(db)
    assert str(refusal.value) == (
        f"things.sql:1:1: get_number: column 'number' is text, the field is int\n(bound at {__file__}:{line})"
    )
