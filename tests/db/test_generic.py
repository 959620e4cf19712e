"""What PostgreSQL refuses once it plans for any arguments, which is from the sixth run on, is refused at the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from app.db import BindingError, Database, Queries

pytestmark = pytest.mark.one_loop

if TYPE_CHECKING:
    from app.db import Executor

TABLES = """
create table things (id int primary key, kind text, n int);
create unique index things_n_key on things (n) where kind = 'x';
create unique index on things ((n + 1));
create table others (id int primary key, n int);
create view pairs as select things.id, others.n from things left join others using (id);
"""
REFUSED = [
    ("insert into things values (9, 'x', 1) on conflict (n) where kind = {0} do nothing", ["x"]),
    ("insert into things values (9, 'x', 1) on conflict (n) where kind = {0} do update set n = 2", ["x"]),
    ("insert into things values (9, 'x', 1) on conflict ((n + {0})) do nothing", [1]),
    ("with new as (insert into things values (9, 'x') on conflict (n) where kind = {0} do nothing) select 1", ["x"]),
    ("select 1 from things full join others on things.id = others.id or {0}::bool", [False]),
    ("select 1 from things where {0}::bool and exists (select from things a full join others b on a.n < b.n)", [False]),
    ("select things.id from things left join others using (id) where {0}::bool or others.n = 1 for update", [False]),
    ("select things.id from things left join others using (id) where {0}::bool or others.n = 1 for share", [False]),
    ("select id from pairs where {0}::bool or n = 1 for no key update", [False]),
]
NAMED_ONLY = [
    ("select case when {0}::int > 0 then 1 else 1 / 0 end", [1]),
    ("select coalesce({0}::int, ('no' || ' number')::int)", [1]),
]
ALLOWED = [
    ("insert into things values ({0}, 'x', 1) on conflict (n) where kind = 'x' do nothing", [9]),
    ("insert into things values (9, 'x', 1) on conflict (id) where kind = {0} do nothing", ["x"]),
    ("insert into things values (9, {0}, 1) on conflict do nothing", ["x"]),
    ("select 1 from things full join others using (id) where things.kind = {0}", ["x"]),
    ("select things.id from things left join others using (id) where {0}::bool for update of things", [True]),
]


@pytest.fixture
async def things(db: Database) -> Database:
    async with db.acquire() as connection:
        await connection.execute(TABLES)
    return db


@pytest.fixture
def bound(write_queries: Callable[[str], Queries]) -> Callable[[str, Sequence[object]], Callable[[Any], Any]]:
    """Runs the statement by a bound function on an executor."""

    def bind(statement: str, values: Sequence[object]) -> Callable[[Any], Any]:
        queries = write_queries(f"-- name: go\n{statement.format(':value')};")
        namespace: dict[str, Any] = {"kind": type(values[0])}
        source = "async def go(db: object, *, value: kind) -> None: ..."
        if "select" in statement:
            source = source.replace("None", "list[int]")
        exec(source, namespace)
        function = queries.bind(namespace["go"])

        async def run(executor: Executor) -> None:
            await function(executor, value=values[0])

        return run

    return bind


Bound = Callable[[str, Sequence[object]], Callable[[Any], Any]]


@pytest.mark.parametrize(("statement", "values"), REFUSED + NAMED_ONLY)
async def test_what_has_no_plan_for_any_arguments_is_refused_every_time(
    things: Database, bound: Bound, statement: str, values: Sequence[object]
) -> None:
    run = bound(statement, values)

    for _ in range(7):
        with pytest.raises(BindingError, match=r"things\.sql:1:1: go: PostgreSQL runs it five times"):
            await run(things)
    with pytest.raises(BindingError, match="five times"):
        async with things.transaction() as tx:
            await run(tx)


@pytest.mark.parametrize(("statement", "values"), ALLOWED)
async def test_what_has_a_plan_runs_seven_times(
    things: Database, bound: Bound, statement: str, values: Sequence[object]
) -> None:
    run = bound(statement, values)

    for _ in range(7):
        await run(things)
    async with things.transaction() as tx:
        for _ in range(7):
            await run(tx)


@pytest.mark.parametrize(("statement", "values"), REFUSED)
async def test_raw_sql_is_refused_at_its_first_run(things: Database, statement: str, values: Sequence[object]) -> None:
    sql = statement.format("$1")

    async with things.acquire() as connection:
        for run in (connection.fetch, connection.execute, connection.fetchrow, connection.fetchval):
            with pytest.raises(asyncpg.PostgresError) as caught:
                await run(sql, *values)
            assert caught.value.sqlstate in {"42P10", "0A000"}
            assert "five times" in caught.value.__notes__[0]
        with pytest.raises(asyncpg.PostgresError):
            await connection.executemany(sql, [values])
        assert await connection.fetchval("select count(*) from things") == 0


@pytest.mark.parametrize(("statement", "values"), ALLOWED)
async def test_raw_sql_with_a_plan_runs_seven_times(things: Database, statement: str, values: Sequence[object]) -> None:
    async with things.transaction() as tx:
        for _ in range(7):
            await tx.fetch(statement.format("$1"), *values)


async def test_the_error_says_what_to_write(things: Database, bound: Bound) -> None:
    run = bound(*REFUSED[0])

    with pytest.raises(BindingError, match=r"no unique or exclusion constraint.*`on conflict \(a\) where kind = 'x'`"):
        await run(things)


async def test_a_migration_that_adds_the_index_is_enough(things: Database, bound: Bound) -> None:
    run = bound(*REFUSED[0])
    with pytest.raises(BindingError):
        await run(things)

    async with things.acquire() as connection:
        await connection.execute("create unique index on things (n)")

    for _ in range(7):
        await run(things)


async def test_nothing_is_left_of_the_plan(things: Database, bound: Bound) -> None:
    state = "select current_setting('plan_cache_mode'), (select count(*) from pg_prepared_statements where from_sql)"
    async with things.transaction() as tx:
        await bound(*ALLOWED[0])(tx)
        await tx.fetch(ALLOWED[0][0].format("$1"), 10)
        assert tuple(await tx.fetchrow(state) or ()) == ("auto", 0)
    with pytest.raises(BindingError):
        await bound(*REFUSED[0])(things)
    async with things.acquire() as connection:
        assert tuple(await connection.fetchrow(state) or ()) == ("auto", 0)


async def test_a_domain_that_refuses_null_is_no_reason(things: Database, bound: Bound) -> None:
    async with things.acquire() as connection:
        await connection.execute("create domain name as text not null; alter table things alter kind type name")
    run = bound("insert into things values (9, {0}, 1) on conflict (id) do nothing", ["x"])

    for _ in range(7):
        await run(things)


async def test_a_text_may_hold_any_quotation(things: Database, bound: Bound) -> None:
    run = bound("select 1 where {0} <> $bindery0$it's$bindery0$", ["x"])

    for _ in range(7):
        await run(things)


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
async def test_the_statement_is_judged_alike_however_the_session_plans(
    database_url: str, bound: Bound, mode: str
) -> None:
    async with Database(database_url, server_settings={"plan_cache_mode": mode}) as db:
        async with db.acquire() as connection:
            await connection.execute(TABLES)
        with pytest.raises(BindingError, match="no plan"):
            await bound(*REFUSED[0])(db)
