"""Which expressions are proved never to be null."""

import asyncpg
import pytest

from app.check.postgres.proofs.nullability import never_null_columns
from tests.check.proofs import SCHEMA, Prove


async def test_a_column_declared_not_null_is_never_null(prove: Prove) -> None:
    assert await prove("select id, n, x, t from a") == [True, True, False, False]


async def test_a_parameter_can_be_null(prove: Prove) -> None:
    assert await prove("select $1::int, coalesce($1, n), $2 || 'x' from a", None, "y", types="int text") == [
        False,
        True,
        False,
    ]


async def test_what_is_computed_of_a_parameter_that_is_never_null_is_never_null(connection: asyncpg.Connection) -> None:
    await connection.execute(SCHEMA)
    text = "select $1::int, $1 + 1, $2 || 'x', coalesce(x, $1), (select $1 + n), array[$2] from a"

    proved = await never_null_columns(connection, text, ["int", "text"], given=frozenset({1}))

    assert proved == [True, True, False, True, True, True]


async def test_json_of_a_value_is_null_where_the_value_is(prove: Prove, connection: asyncpg.Connection) -> None:
    if connection.get_server_version().major >= 17:
        assert await prove("select json(n::text), json_scalar(n), json_serialize(n::text) from a") == [True] * 3
        assert await prove("select json(x::text), json_scalar(x), json_serialize(x::text) from a") == [False] * 3


async def test_expressions_are_null_as_their_parts_allow(prove: Prove) -> None:
    for expression in [
        "n + 1",
        "n = 1",
        "n::text",
        "n::bigint",
        "lower(b.t)",
        "b.t || 'x'",
        "coalesce(x, n)",
        "x is null",
    ]:
        assert await prove(f"select {expression} from a join b on true") == [True], expression
    for expression in [
        "x + 1",
        "x = 1",
        "x::text",
        "coalesce(x, null)",
        "nullif(n, 1)",
        "a.t || 'x'",
        "null",
        "x > 1 or null",
    ]:
        assert await prove(f"select {expression} from a join b on true") == [False], expression


async def test_a_case_needs_a_value_in_every_branch(prove: Prove) -> None:
    assert await prove("select case when n = 1 then n else 0 end from a") == [True]
    assert await prove("select case when n = 1 then n end, case n when 1 then x else 0 end from a") == [False, False]


async def test_lists_rows_and_arrays(prove: Prove) -> None:
    assert await prove("select n in (1, 2), n in (1, null), n = any ('{1,null}'), x in (1, 2) from a") == [
        True,
        False,
        False,
        False,
    ]
    assert await prove("select array[x], row(x, x), (array[n])[1], (array[n])[2] from a") == [True, True, False, False]
    assert await prove("select greatest(x, n), least(x, null) from a") == [True, False]
    assert await prove("select (n, 1) = (1, n), (x, 1) = (1, 1), x is distinct from n from a") == [True, False, True]


@pytest.mark.parametrize(
    "expression",
    [
        "substring(b.t from 'z')",
        "to_char(timestamp '2020-01-01', b.t)",
        "array_length(array[]::int[], n)",
        "(timestamp 'infinity')::time",
        "path '((0,0),(1,1))' + path '((0,0),(1,1))'",
        "extract(day from timestamp 'infinity')",
        "concat(variadic null::text[])",
        "current_schema",
        "(jsonb_build_object('a', null)->>'a')",
        "null_for_two(n)",
        "null_for_two(n) + 1",
    ],
)
async def test_what_a_function_returns_is_not_known_from_being_strict(
    prove: Prove, connection: asyncpg.Connection, expression: str
) -> None:
    function = "create function null_for_two(int) returns int language sql immutable strict as 'select nullif($1, 2)'"
    await connection.execute(function)
    assert await prove(f"select {expression} from a, b") == [False]


async def test_a_function_of_the_users_is_not_taken_for_the_built_in_one(
    prove: Prove, connection: asyncpg.Connection
) -> None:
    await connection.execute("create function lower(text) returns text language sql as 'select null::text'")
    await connection.execute("create function plus(int, int) returns int language sql as 'select null::int'")
    await connection.execute("create operator + (function = plus, leftarg = int, rightarg = int)")
    await connection.execute("set local search_path = bench, pg_catalog")
    assert await prove("select lower(b.t), 1 + n from b, a where a.id = 1") == [False, False]


async def test_an_equality_of_the_users_may_be_null(prove: Prove, connection: asyncpg.Connection) -> None:
    await connection.execute("create type pair as (x int, y int)")
    await connection.execute("create function same(pair, pair) returns bool language sql as 'select null::bool'")
    await connection.execute("create operator = (function = same, leftarg = pair, rightarg = pair)")
    await connection.execute("set local search_path = bench, pg_catalog")
    pairs = "(select row(1, 2)::pair as x, row(3, 4)::pair as y offset 0) as pairs"
    assert await prove(f"select x = y, x is distinct from y from {pairs}") == [False, False]
    assert await prove("select n is distinct from x, x = any (array[1]) from a") == [True, False]


async def test_some_functions_are_never_null_whatever_they_are_given(prove: Prove) -> None:
    calls = "now(), gen_random_uuid(), concat(x, t), jsonb_build_object('x', x), array_append(null::int[], x)"

    assert await prove(f"select {calls} from a") == [True] * 5


async def test_an_aggregate_without_groups_may_have_no_rows(prove: Prove) -> None:
    assert await prove("select count(*), count(x), max(n), sum(n), array_agg(n) from a where false") == [
        True,
        True,
        False,
        False,
        False,
    ]


async def test_an_aggregate_over_a_group_is_null_only_where_all_its_values_are(prove: Prove) -> None:
    text = "select x, max(n), max(x), sum(n), array_agg(x), string_agg(t, ','), count(t) from a group by x"
    assert await prove(text) == [False, True, False, True, True, False, True]
    assert await prove("select max(n) filter (where n > 5), stddev(n), max(n) from a group by id") == [
        False,
        False,
        True,
    ]


async def test_grouping_sets_null_what_they_group_by(prove: Prove) -> None:
    assert await prove(
        "select n, coalesce(x, 0), count(*), grouping(n) from a group by rollup (n, coalesce(x, 0))"
    ) == [
        False,
        False,
        True,
        True,
    ]
    assert await prove("select coalesce(x, 0) + 1, n, n as again from a group by cube (coalesce(x, 0), n)") == [
        False,
        False,
        False,
    ]
    assert await prove(
        "select coalesce(sum(x), 0), max(n), coalesce(n, count(*)) from a group by grouping sets (n, ())"
    ) == [
        True,
        False,
        True,
    ]
    assert await prove("select 1 as one from a group by rollup (one)") == [False]


async def test_of_window_functions_only_those_that_count_are_known(prove: Prove) -> None:
    known = "row_number() over w, rank() over w, count(x) over w"
    assert await prove(f"select {known} from a window w as (order by n)") == [True, True, True]
    unknown = "lag(n) over w, first_value(n) over w, sum(n) over w"
    assert await prove(f"select {unknown} from a window w as (order by n)") == [False, False, False]


async def test_a_command_with_a_result_but_no_tree_has_no_proof(prove: Prove) -> None:
    assert await prove("show work_mem") == [False]


async def test_a_statement_without_a_result_has_no_columns(prove: Prove) -> None:
    assert await prove("delete from a") == []
