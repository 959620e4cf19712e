"""A placeholder that stands for what one value cannot be is reported with what to write instead."""

import pytest

from tests.check.planting import Planted, bound

LIST = "To mend it      compare with the values of a list by `= any (:ids)`, and with none of them by `<> all (:ids)`"
ORDER = "To mend it      name the columns: `order by case :key when 'name' then name end, …`; or write a statement"


@pytest.mark.parametrize("condition", ["id in (:ids)", "id = :ids"])
def test_a_list_is_compared_by_any(planted: Planted, condition: str) -> None:
    sql = f"-- name: list_names\nselect name from people where {condition} order by id limit 5;"

    (problem,) = planted.problems(sql, bound("list_names, ids: list[int]", "list[str]"))

    assert "error: the argument ids does not fit :ids: bigint takes int\n" in problem
    assert LIST in problem


@pytest.mark.parametrize("condition", ["id in :ids", "id in (:ids::bigint[])", "id not in ((:ids::bigint[]))"])
def test_a_list_that_postgresql_refuses_is_compared_by_any(planted: Planted, condition: str) -> None:
    (problem,) = planted.problems(
        f"-- name: list_names\nselect name from people where {condition};",
        bound("list_names, ids: list[int]", "list[str]"),
    )

    assert "error: PostgreSQL refuses the statement: " in problem
    assert LIST in problem


@pytest.mark.parametrize("order", [":key", "(:key)::text desc", "name, :key", "row_number() over (order by :key)"])
def test_ordering_by_a_placeholder_orders_nothing(planted: Planted, order: str) -> None:
    scan = "-- check: full scan of people, because of the test\n"
    sql = f"-- name: list_names\n{scan}select name from people order by {order};"

    (problem,) = planted.problems(sql, bound("list_names, key: str", "list[str]"))

    assert "error: the rows are ordered by :key, which is one value for all of them and orders nothing\n" in problem
    assert ORDER in problem


def test_an_aggregate_ordered_by_a_placeholder_is_found(planted: Planted) -> None:
    sql = "-- name: get_names\nselect string_agg(name, ',' order by :key::text) from pets where owner_id = 1;"

    (problem,) = planted.problems(sql, bound("get_names, key: str", "str | None"))

    assert "the rows are ordered by :key" in problem


@pytest.mark.parametrize("query", ["select distinct name from people", "select name from people union select 'x'"])
def test_an_order_that_postgresql_refuses_names_the_columns(planted: Planted, query: str) -> None:
    (problem,) = planted.problems(
        f"-- name: list_names\n{query} order by :key;", bound("list_names, key: str", "list[str]")
    )

    assert "error: PostgreSQL refuses the statement: " in problem
    assert ORDER in problem


def test_an_order_that_a_placeholder_chooses_is_right(planted: Planted) -> None:
    sql = (
        "-- name: list_names\nselect name from pets where owner_id = 1"
        " order by case :key when 'name' then name end, case when :key = 'id' then id end;"
    )

    assert planted.problems(sql, bound("list_names, key: str", "list[str]")) == []


@pytest.mark.parametrize("sql", ["select name from :thing", "select name from people order by id :thing"])
def test_a_name_or_keyword_is_written_out(planted: Planted, sql: str) -> None:
    (problem,) = planted.problems(f"-- name: list_names\n{sql};", bound("list_names, thing: str", "list[str]"))

    assert "a placeholder stands for one value: write names and keywords out, in a statement for each" in problem
