"""What joins and conditions let be null."""

import pytest

from tests.check.proofs import Prove


async def test_the_side_that_an_outer_join_can_miss_is_nullable(prove: Prove) -> None:
    assert await prove("select a.id, b.id from a left join b on b.a_id = a.id") == [True, False]
    assert await prove("select a.id, b.id from a right join b on b.a_id = a.id") == [False, True]
    assert await prove("select a.id, b.id from a full join b on b.a_id = a.id") == [False, False]
    assert await prove("select a.id, b.id from a join b on b.a_id = a.id") == [True, True]


async def test_a_join_inside_the_missing_side_is_missing_with_it(prove: Prove) -> None:
    nested = "select a.id, b.id, c.id from a left join (b join a as c on c.id = b.a_id) on b.id = a.id"
    assert await prove(nested) == [True, False, False]
    both = "select a.id, b.id, c.id from (a left join b on b.a_id = a.id) left join a as c on c.id = b.id"
    assert await prove(both) == [True, False, False]


async def test_a_merged_column_is_as_its_sides(prove: Prove) -> None:
    assert await prove("select j.id from a left join b using (id) as j") == [True]
    assert await prove("select j.id from a right join b using (id) as j") == [True]
    assert await prove("select j.id, a.id, b.id from a full join b using (id) as j") == [False, False, False]


async def test_a_condition_that_null_would_fail_rules_null_out(prove: Prove) -> None:
    for condition in [
        "x is not null",
        "x > 1",
        "x = any ($1)",
        "x in (2, 3)",
        "abs(x) = 2",
        "not (x < 2)",
        "x + n = 4",
    ]:
        arguments = [[2, 3]] if "$1" in condition else []
        types = "int[]" if arguments else ""
        assert await prove(f"select x from a where {condition}", *arguments, types=types) == [True], condition
    for condition in ["(x = 2) is true", "n = 1 and x = 2", "x in (select n from a)", "x between 1 and 3"]:
        assert await prove(f"select x from a where {condition}") == [True], condition


async def test_a_condition_that_only_a_value_makes_false_rules_null_out_by_its_negation(prove: Prove) -> None:
    for condition in [
        "not (x is null)",
        "not (x is null or n = 7)",
        "not (not (x is not null))",
        "not ((x = 9) is unknown)",
        "not ((x = 2) is not true)",
        "x is not distinct from 2",
        "not (x is distinct from 2)",
        "not (x <> all ($1))",
        "x <> all (array[3, 4])",
        "x not in (3, 4)",
    ]:
        arguments = [[2, 3]] if "$1" in condition else []
        types = "int[]" if arguments else ""
        assert await prove(f"select x from a where {condition}", *arguments, types=types) == [True], condition


async def test_a_disjunction_proves_what_each_of_its_sides_proves(prove: Prove) -> None:
    assert await prove("select x from a where x = 2 or x = 3") == [True]
    assert await prove("select x, t from a where x = 2 or (x = 3 and t = 'three')") == [True, False]
    assert await prove("select x from a where not (x is null and n = 1 or x = 7)") == [True]
    assert await prove("select x from a where (x, t) in (select 2, 'two')") == [True]


async def test_a_condition_that_null_can_pass_proves_nothing(prove: Prove) -> None:
    for condition in ["x is null", "x = 2 or n = 1", "x is distinct from 3", "coalesce(x, 1) = 1", "x <> all ('{}')"]:
        assert await prove(f"select x from a where {condition}") == [False], condition
    for condition in ["(x = 2) is not true", "not (x = 2 and n = 3)", "(x = 2) is unknown", "row(x, n) is not null"]:
        assert await prove(f"select x from a where {condition}") == [False], condition
    for condition in [
        "not (x is not null)",
        "not (x is null and n = 2)",
        "not ((x = 2) is true)",
        "x is not distinct from null",
        "x is not distinct from nullif(n, n)",
        "not (x is distinct from char_length(t))",
        "x not in (select n from a where false)",
        "x <> all (array[]::int[])",
        "not (x = any (array[]::int[]))",
        "not (row(x, n) is null)",
    ]:
        assert await prove(f"select x from a where {condition}") == [False], condition


async def test_a_condition_of_an_outer_join_rules_nothing_out(prove: Prove) -> None:
    assert await prove("select a.x from a left join b on a.x = b.id") == [False]
    assert await prove("select a.x from a join b on a.n = b.id and a.x is not null") == [True]
    assert await prove("select b.a_id from a left join (b join a as c on c.id = b.a_id) on true") == [False]


async def test_a_row_with_a_value_was_not_missing(prove: Prove) -> None:
    assert await prove("select b.id, b.t from a left join b on b.a_id = a.id where b.t = 'b'") == [True, True]
    nested = "select c.n from a left join (b left join a as c on c.id = b.a_id) on b.id = a.id where "
    assert await prove(nested + "b.id = 1") == [False]
    assert await prove(nested + "c.id = 1") == [True]


@pytest.mark.parametrize(
    ("kind", "left_is_kept", "right_is_kept"),
    [("inner", True, True), ("left", True, False), ("right", False, True), ("full", False, False)],
)
async def test_a_condition_inside_a_side_holds_where_the_side_is_kept(
    prove: Prove, kind: str, left_is_kept: bool, right_is_kept: bool
) -> None:
    side = "(a join b on a.x = b.id + 1)"

    assert await prove(f"select a.x from {side} {kind} join a as c on c.n = a.n") == [left_is_kept]
    assert await prove(f"select a.x from a as c {kind} join {side} on c.n = a.n") == [right_is_kept]
