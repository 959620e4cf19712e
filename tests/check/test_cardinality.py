"""Which statements are proved never to yield a second row."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from app.check.postgres.proofs.cardinality import AtMostOne, yields_at_most_one

ProveRows = Callable[[str], Awaitable[AtMostOne]]

SCHEMA = """
create table a (id int primary key, x int, t text);
create unique index on a (lower(t));
create table b (id int not null unique, a_id int, t text);
create table pair (x int, y int, primary key (x, y));
create table part (k int primary key) partition by range (k);
create table soft (code varchar(9), gone date);
create unique index on soft (code) where gone is null;
create table late (k int unique deferrable);
create table parent (k int primary key);
create table child () inherits (parent);
create view noise as select (random() * 3)::int as n;
"""


@pytest.fixture
async def at_most_one(connection: asyncpg.Connection) -> ProveRows:
    """Proves of a statement whose parameters are an integer and a text."""
    await connection.execute(SCHEMA)
    return lambda text: yields_at_most_one(connection, text, ["integer", "text"])


@pytest.mark.parametrize(
    "text",
    [
        "select * from a where id = $1",
        "select * from a where $1 = id and t <> ''",
        "select * from a where lower(t) = lower($2)",
        "select * from pair where (x, y) = ($1, 2)",
        "select * from part where k = $1",
        "select * from soft where code = $2 and gone is null",
        "select * from a where id = (select max(id) from b)",
        "select * from a where id = $1 for update",
        "select x from a where id = $1 group by x",
    ],
)
async def test_a_row_by_a_unique_key_is_one(at_most_one: ProveRows, text: str) -> None:
    assert await at_most_one(text) == (True, "")


@pytest.mark.parametrize(
    "text",
    [
        "select * from a",
        "select * from a where x = $1",
        "select * from a where id > $1",
        "select * from a where id = $1 or x = 1",
        "select * from a where id = x",
        "select * from a where id = any (array[$1])",
        "select * from a where id = (random() * 3)::int",
        "select * from a where id = (select n from noise)",
        "select * from a where id = (select id from b tablesample system (50) limit 1)",
        "select * from pair where x = $1",
        "select * from soft where code = $2",
        "select * from late where k = $1",
        "select * from parent where k = $1",
        "select * from a where upper(t) = $2",
        "select distinct x from a",
    ],
)
async def test_rows_by_anything_else_are_several(at_most_one: ProveRows, text: str) -> None:
    proved, reason = await at_most_one(text)
    assert not proved
    assert (
        reason == f"{text.split()[3]} can have several rows: no unique key of it is compared with one value by ="
        or (reason.startswith("a can"))
    )


@pytest.mark.parametrize(
    "text",
    [
        "select * from a join b on b.id = a.x where a.id = $1",
        "select * from a left join b on b.id = a.x where a.id = $1",
        "select * from a right join b on a.id = b.a_id where b.id = $1",
        "select * from a left join (b left join pair on pair.x = b.a_id and pair.y = 1) on b.id = a.x where a.id = 1",
        "select * from a join a as other using (id) where a.id = 1",
        "select * from b, lateral (select count(*) from a where a.x = b.a_id) as s where b.id = 1",
        "select * from (select max(x) as m from a) as s join b on b.id = s.m",
        "select * from a left join b on b.id = a.x where a.id = coalesce($1, 1)",
    ],
)
async def test_a_join_of_single_rows_is_one(at_most_one: ProveRows, text: str) -> None:
    assert await at_most_one(text) == (True, "")


@pytest.mark.parametrize(
    "text",
    [
        "select * from a left join b on b.id = $1",
        "select * from a left join b on b.id = a.x where b.a_id = 3",
        "select * from a join b on b.id = a.id",
        "select * from a full join b on a.id = b.id where a.id = 1 and b.id = 1",
        "select * from a left join b on b.id = 5 and a.x = 1 where a.id = coalesce(b.a_id, 7)",
        "select * from a, (select random() as r) as s where a.id = s.r::int",
        "select * from a, lateral (select a.id as same limit 1) as s where a.id = s.same",
        "select * from a cross join b where a.id = 1",
    ],
)
async def test_a_join_with_rows_that_nothing_fixes_is_several(at_most_one: ProveRows, text: str) -> None:
    assert not (await at_most_one(text)).proved


async def test_a_cte_is_told_from_the_others_by_its_name(at_most_one: ProveRows) -> None:
    two = "with one as (select 1 as n), many as (select id from a)"

    assert (await at_most_one(f"{two} select * from one")).proved
    assert not (await at_most_one(f"{two} select * from many")).proved


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "select now()",
        "select count(*), max(x) from a",
        "select max(x) from a having max(x) > 1",
        "select * from a limit 1",
        "select * from a limit 0",
        "select * from a fetch first row only",
        "select * from (values (1)) as v",
        "select * from lower($2)",
        "select id from a where id = $1 except select a_id from b",
        "select id from a intersect select max(id) from b",
    ],
)
async def test_what_makes_one_row_of_all_is_one(at_most_one: ProveRows, text: str) -> None:
    assert await at_most_one(text) == (True, "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "select count(*) from a group by x",
            "a can have several rows: no unique key of it is compared with one value by =",
        ),
        ("select count(*) from a group by rollup (x)", "grouping sets can yield several rows"),
        ("select generate_series(1, $1)", "a function in the result can return several rows"),
        ("select max(x), generate_series(1, 2) from a", "a function in the result can return several rows"),
        ("select * from generate_series(1, 2)", "generate_series can have several rows"),
        ("select * from (values (1), (2)) as v", "v can have several rows"),
        ("select 1 union select 2", "a union can yield a row of each side"),
        ("with recursive r as (select 1 union select 2) select * from r", "r can have several rows"),
        ("select * from a full join b on a.id = b.id", "a full join yields the rows without a match of both sides"),
    ],
)
async def test_what_can_be_several_is_named(at_most_one: ProveRows, text: str, reason: str) -> None:
    assert await at_most_one(text) == (False, reason)


@pytest.mark.parametrize(
    "limit", ["limit 2", "limit $1", "limit null", "limit abs(1)", "offset 1", "order by x fetch first row with ties"]
)
async def test_a_limit_that_is_not_one_limits_to_nothing_known(at_most_one: ProveRows, limit: str) -> None:
    assert not (await at_most_one(f"select * from a {limit}")).proved


@pytest.mark.parametrize(
    ("text", "proved"),
    [
        ("insert into a values (1, 2) returning *", True),
        ("insert into a values (1, 2), (3, 4) returning *", False),
        ("insert into a select id from b where id = $1 returning *", True),
        ("insert into a select id from b returning *", False),
        ("insert into a values (1, 2)", True),
        ("update a set x = 1 where id = $1 returning *", True),
        ("update a set x = 1 from b where b.t = a.t and a.id = $1 returning *", True),
        ("update a set x = 1 from b where b.a_id = a.x and b.id = $1 returning *", False),
        ("delete from a using b where a.id = b.a_id and b.id = $1 returning *", True),
        ("delete from a returning *", False),
        ("delete from a", True),
        ("with w as (insert into a values (1, 2) returning *) select * from w", True),
        ("with w as (insert into a values (1, 2) returning *) select * from w join b on b.id = w.x", True),
        ("with w as (update a set x = 1 returning *) select * from w", False),
    ],
)
async def test_what_is_written_is_returned_as_often(at_most_one: ProveRows, text: str, proved: bool) -> None:
    assert (await at_most_one(text)).proved == proved


async def test_merge_returns_several(at_most_one: ProveRows, connection: asyncpg.Connection) -> None:
    merge = "merge into a using b on b.id = a.id when matched then delete"
    assert (await at_most_one(merge)).proved
    if connection.get_server_version() >= (17,):
        assert await at_most_one(f"{merge} returning a.id") == (False, "MERGE can return several rows")


async def test_a_rule_returns_what_it_likes(at_most_one: ProveRows, connection: asyncpg.Connection) -> None:
    rule = "create rule r as on insert to b do instead insert into a select k from part returning id, x, t"
    await connection.execute(rule)
    assert await at_most_one("insert into b values (1) returning id") == (
        False,
        "b has a rule, which can return rows of its own",
    )


async def test_a_command_is_no_query(at_most_one: ProveRows) -> None:
    with pytest.raises(asyncpg.FeatureNotSupportedError):
        await at_most_one("show work_mem")
