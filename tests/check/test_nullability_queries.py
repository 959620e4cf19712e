"""What subqueries, set operations and CTEs let be null."""

import asyncpg

from tests.check.proofs import Prove


async def test_a_subquery_is_null_without_a_row(prove: Prove) -> None:
    assert await prove("select (select n from a where id = 7), (select id from b limit 0)") == [False, False]
    assert await prove("select (select count(*) from a), (select coalesce(max(n), 0) from a), (select 1)") == [True] * 3
    assert await prove("select (select count(*) from a having false), (select 1 where false)") == [False, False]
    assert await prove("select (select count(*) from a offset 1), (select count(*) from a group by n limit 1)") == [
        False,
        False,
    ]
    assert await prove("select exists (select from a), array(select x from a), 1 in (select x from a)") == [
        True,
        True,
        False,
    ]


async def test_a_subquery_sees_the_columns_around_it(prove: Prove) -> None:
    assert await prove("select (select a.n), (select a.x) from a") == [True, False]
    assert await prove("select (select b.t) from a left join b on b.a_id = a.id") == [False]
    assert await prove("select s.n, s.x from a cross join lateral (select a.n, a.x) as s") == [True, False]
    assert await prove("select s.n from a left join lateral (select a.n limit 0) as s on true") == [False]


async def test_tables_of_values_and_functions(prove: Prove) -> None:
    assert await prove("select * from (values (1, 'a'), (2, null)) as v (n, t)") == [True, False]
    assert await prove("select * from generate_series(1, 2) as g, unnest(array[1, null]) as u") == [True, False]
    assert await prove("select * from rows from (generate_series(1, 1), generate_series(1, 2))") == [False, False]
    assert await prove("select generate_series(1, 1), generate_series(1, 2)") == [False, False]


async def test_an_ordinality_numbers_every_row(prove: Prove) -> None:
    assert await prove("select * from unnest(array[1, null]) with ordinality") == [False, True]
    both = "rows from (unnest(array[1]), jsonb_to_record('{}') as (p int, q text)) with ordinality"
    assert await prove(f"select * from {both}") == [False, False, False, True]
    assert await prove("select o from a left join unnest(array[1]) with ordinality as u (v, o) on o = n") == [False]


async def test_set_operations_are_as_null_as_the_rows_they_keep(prove: Prove) -> None:
    assert await prove("select n from a union all select x from a") == [False]
    assert await prove("select n from a union select id from b") == [True]
    assert await prove("select n, x from a intersect select x, x from a") == [True, False]
    assert await prove("select n, x from a except select x, n from a") == [True, False]
    assert await prove("(select n from a union select id from b order by 1 limit 1) union select 1") == [True]


async def test_a_set_operation_converts_by_known_conversions_alone(
    prove: Prove, connection: asyncpg.Connection
) -> None:
    assert await prove("select 1::int union select 1::bigint") == [True]
    await connection.execute("create type pair as (x int, y int); create type single as (x int)")
    await connection.execute("create function first(pair) returns single language sql as 'select null::single'")
    await connection.execute("create cast (pair as single) with function first(pair) as implicit")
    assert await prove("select row(1, 2)::pair union all select row(1)::single") == [False]
    assert await prove("select row(1)::single union all select row(3)::single") == [True]


async def test_a_cte_passes_on_what_is_known(prove: Prove) -> None:
    assert await prove("with w as (select n, x from a) select w.*, (select max(n) from w) from w") == [
        True,
        False,
        False,
    ]
    assert await prove("with w as (insert into b values (3, null, 'c') returning id, a_id) select * from w") == [
        True,
        False,
    ]
    assert await prove("select (with w as (select a.n, a.x) select n from w) from a") == [False]
    assert await prove("select s.* from a, lateral (with w as (select a.n, a.x) select * from w) as s") == [True, False]


async def test_a_recursive_cte_is_never_null_where_no_step_makes_a_null(prove: Prove) -> None:
    recursion = (
        "with recursive r (n, x) as (select 1, 1 {} all select r.n + 1, {} from r where r.n < 4) select * from r"
    )
    assert await prove(recursion.format("union", "r.x + 1")) == [True, True]
    assert await prove(recursion.format("union", "nullif(r.x, 1)")) == [True, False]
    swapped = "with recursive r (k, n, x) as (select 1, 1, null::int union select k + 1, x, n from r where k < 4) "
    assert await prove(swapped + "select * from r") == [True, False, False]
    assert await prove("with recursive r (x) as (select null::int union select 1) select * from r") == [False]


async def test_columns_of_search_and_cycle_are_not_looked_into(prove: Prove) -> None:
    recursion = "with recursive r (n) as (select 1 union all select n + 1 from r where n < 3)"
    text = f"{recursion} search breadth first by n set place cycle n set looped using trail select * from r"
    assert await prove(text) == [True, False, False, False]


async def test_a_subquery_whose_functions_return_sets_may_have_no_row(prove: Prove) -> None:
    assert await prove("select (select generate_series(1, 0) is null), (select 1 is null)") == [False, True]


async def test_a_call_that_a_grouping_set_groups_by_is_nulled_by_another(prove: Prove) -> None:
    assert await prove("select lower('A'), count(*) from a group by grouping sets (lower('A'), ())") == [False, True]
    assert await prove("select upper(lower('A')) from a group by grouping sets (lower('A'), ())") == [False]
