"""Plans of bound queries. What is here needs no statement but the kit's own."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

from app import repositories
from app.db import BadArgument, BindingError, Database, Executor, Queries
from app.db.binding.query import Query
from app.plans import ExplainError, explain
from app.repositories import health

SQL = """
-- name: find_number
select n from numbers where n = :n;

-- name: list_numbers
select n from numbers where payload = :payload or n > 0;

-- name: sleep
select 1 from (select pg_sleep(5)) s;

-- name: count_slowly
select count(*) from generate_series(1, :n) a, generate_series(1, 1000000) b;

-- name: add_number
insert into numbers (n) values (:n) on conflict (n) do update set n = excluded.n;

-- name: skewed
select n from skewed where n = 1 and m = 1;

-- name: broken
select missing from numbers where n = :n;
"""


@pytest.fixture
async def bound(db: Database, tmp_path: Path) -> dict[str, Query]:
    await db.execute("create table numbers (n bigint primary key, payload text)")
    await db.execute("insert into numbers select n, 'x' from generate_series(1, 5000) n")
    await db.execute("create table skewed as select n % 100 as n, n % 100 as m from generate_series(1, 50000) n")
    await db.execute("analyze numbers, skewed")
    (tmp_path / "numbers.sql").write_text(SQL)
    queries = Queries(tmp_path / "numbers.sql")

    @queries.bind
    async def find_number(db: Executor, *, n: int) -> int | None: ...
    @queries.bind
    async def list_numbers(db: Executor, *, payload: str) -> list[int]: ...
    @queries.bind
    async def sleep(db: Executor) -> list[int]: ...
    @queries.bind
    async def count_slowly(db: Executor, *, n: int) -> list[int]: ...
    @queries.bind
    async def add_number(db: Executor, *, n: int) -> None: ...
    @queries.bind
    async def skewed(db: Executor) -> list[int]: ...
    @queries.bind
    async def broken(db: Executor, *, n: int) -> list[int]: ...

    return queries.bound


def all_bound() -> list[Any]:
    modules = [import_module(f"app.repositories.{module.name}") for module in iter_modules(repositories.__path__)]
    return [
        pytest.param(query, id=query.function)
        for module in modules
        for query in module.queries.bound.values()
        if not query.copy
    ]


@pytest.mark.parametrize("query", all_bound())
async def test_every_bound_query_has_a_generic_plan(db: Database, query: Query) -> None:
    plan = await explain(db, query)

    assert plan.lines
    assert plan.cost >= 0
    assert plan.milliseconds is None


async def test_a_generic_plan_knows_no_values_and_can_be_had_again(db: Database, bound: dict[str, Query]) -> None:
    first, second = [await explain(db, bound["find_number"]) for _ in range(2)]

    assert first == second
    assert any("(n = $1)" in line for line in first.lines)
    assert first.rows == 1
    assert first.warnings == ()


async def test_a_plan_for_values_shows_them(db: Database, bound: dict[str, Query]) -> None:
    plan = await explain(db, bound["find_number"], (7,))

    assert any("'7'::bigint" in line for line in plan.lines)


async def test_a_hostile_value_stays_a_value(db: Database, bound: dict[str, Query]) -> None:
    plan = await explain(db, bound["list_numbers"], ("'; drop table numbers; --",))

    assert any("drop table" in line for line in plan.lines)
    assert await db.fetchval("select count(*) from numbers") == 5000


async def test_a_full_scan_of_a_big_table_is_a_warning(db: Database, bound: dict[str, Query]) -> None:
    plan = await explain(db, bound["list_numbers"])

    assert plan.warnings == ("full scan of numbers, about 5,000 rows",)


async def test_an_analyzed_read_says_how_long_it_took(db: Database, bound: dict[str, Query]) -> None:
    plan = await explain(db, bound["find_number"], (7,), analyze=True)

    assert plan.milliseconds is not None
    assert any("Buffers:" in line for line in plan.lines)


async def test_an_estimate_that_is_far_off_is_a_warning(db: Database, bound: dict[str, Query]) -> None:
    plan = await explain(db, bound["skewed"], analyze=True)

    assert any("500 found" in warning for warning in plan.warnings)


async def test_a_write_is_explained_without_being_done(db: Database, bound: dict[str, Query]) -> None:
    generic, for_value = await explain(db, bound["add_number"]), await explain(db, bound["add_number"], (9000,))

    assert "Insert on numbers" in generic.lines[0]
    assert "Insert on numbers" in for_value.lines[0]
    assert await db.fetchval("select count(*) from numbers") == 5000


async def test_a_write_is_never_analyzed_and_nothing_is_stored(db: Database, bound: dict[str, Query]) -> None:
    with pytest.raises(ExplainError, match=r"numbers\.sql:\d+:\d+: add_number: .*it may write"):
        await explain(db, bound["add_number"], (9000,), analyze=True)
    with pytest.raises(ExplainError, match="delete_nothing"):
        await explain(db, health.queries.bound["delete_nothing"], analyze=True)

    assert await db.fetchval("select count(*) from numbers") == 5000


async def test_what_passes_for_a_read_still_cannot_write(
    db: Database, bound: dict[str, Query], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bound["add_number"], "reads_only", True)

    with pytest.raises(ExplainError, match="add_number: cannot execute INSERT in a read-only transaction"):
        await explain(db, bound["add_number"], (9000,), analyze=True)

    assert await db.fetchval("select count(*) from numbers") == 5000


async def test_a_function_with_unknown_effects_is_never_analyzed(db: Database, bound: dict[str, Query]) -> None:
    with pytest.raises(ExplainError, match=r"sleep: .*may write or change the session"):
        await explain(db, bound["sleep"], analyze=True)


async def test_a_slow_statement_hits_the_time_out(db: Database, bound: dict[str, Query]) -> None:
    with pytest.raises(ExplainError, match=r"count_slowly: it was not done after 0\.2 s"):
        await explain(db, bound["count_slowly"], (1_000_000,), analyze=True, timeout=0.2)

    assert await db.fetchval("show statement_timeout") != "200ms"


async def test_values_are_refused_as_the_bound_function_refuses_them(db: Database, bound: dict[str, Query]) -> None:
    for wrong in (True, "7", None, 2**70):
        with pytest.raises(BadArgument, match=r"find_number\(n=...\)"):
            await explain(db, bound["find_number"], (wrong,))


async def test_what_cannot_be_explained_says_why(db: Database, bound: dict[str, Query]) -> None:
    with pytest.raises(ExplainError, match="it needs a value for n to be analyzed"):
        await explain(db, bound["find_number"], analyze=True)
    with pytest.raises(ExplainError, match="it has 1 parameters, not 2"):
        await explain(db, bound["find_number"], (1, 2))
    with pytest.raises(BindingError, match=r'numbers\.sql:\d+:8: column "missing" does not exist'):
        await explain(db, bound["broken"])
    with pytest.raises(ValueError, match="more than 0"):
        await explain(db, bound["find_number"], timeout=0)
