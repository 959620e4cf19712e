import pytest

from tests.check.planting import Planted, bound


def test_a_promise_of_one_row_needs_a_proof(planted: Planted) -> None:
    sql = "-- name: get_id\nselect id from pets where owner_id = :owner_id;\n"

    (problem,) = planted.check(sql, bound("get_id, owner_id: int", "int")).problems

    assert problem.postgresql.startswith("pets can have several rows")
    assert str(problem) == (
        "sql/people.sql:2:1: error: get_id promises one row, and the statement can yield several\n"
        "select id from pets where owner_id = :owner_id;\n"
        "^\n"
        "  Python says     people.py:10:53: -> int\n"
        f"  PostgreSQL says {problem.postgresql}\n"
        "  To mend it      declare it `-> list[int]`, compare every column of a unique key, add `limit 1`, or say"
        " `-- check: one row, because …`"
    )


@pytest.mark.parametrize(
    ("statement", "returns"),
    [
        ("select id from pets where id = :id", "int"),
        ("select id from people where name = md5(:id::int::text)", "int | None"),
        ("select id from pets where owner_id = :id limit 1", "int"),
        ("select count(*) from pets where owner_id = :id", "int"),
        ("select id from pets where owner_id = :id", "list[int]"),
        ("update pets set name = 'Rex' where owner_id = :id", "int"),
        ("update pets set name = 'Rex' where id = :id returning name", "str"),
        ("insert into pets (owner_id, name) values (:id, 'Rex') returning id", "int"),
    ],
)
def test_a_promise_that_is_kept_is_no_problem(planted: Planted, statement: str, returns: str) -> None:
    assert planted.problems(f"-- name: go\n{statement}", bound("go, id: int", returns)) == []


def test_a_promise_can_be_allowed_with_a_reason(planted: Planted) -> None:
    sql = "-- name: get_id\n-- check: one row, because nobody has two\nselect id from pets where owner_id = :id"

    report = planted.check(sql, bound("get_id, id: int", "int"))

    assert report.problems == []
    assert [exemption.kind for exemption in report.exemptions] == ["one row"]
