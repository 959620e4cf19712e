import pytest

from tests.check.planting import Planted, bound

GET_NAME = "-- name: get_name\nselect name from people where id = :id;\n"


def test_an_argument_of_the_wrong_type_is_shown_from_both_sides(planted: Planted) -> None:
    assert planted.problems(GET_NAME, bound("get_name, id: str", "str")) == [
        "sql/people.sql:2:36: error: the argument id does not fit :id: bigint takes int\n"
        "select name from people where id = :id;\n"
        "                                   ^\n"
        "  Python says     people.py:10:41: id: str\n"
        "  PostgreSQL says :id is bigint\n"
        "  To mend it      declare it `id: int`, or cast the placeholder"
    ]


def test_an_optional_argument_that_is_compared_is_reported_where_it_is_compared(planted: Planted) -> None:
    sql = "-- name: get_id\nselect coalesce(:id, 0::bigint) as id from people\nwhere id = :id;\n"

    (problem,) = planted.problems(sql, bound("get_id, id: int | None", "int"))

    assert problem == (
        "sql/people.sql:3:12: error: id may be None, and a comparison with null is never true\n"
        "where id = :id;\n"
        "           ^\n"
        "  Python says     people.py:10:39: id: int | None\n"
        "  PostgreSQL says :id is bigint\n"
        "  To mend it      declare it `id: int`, compare by `is not distinct from`, write `:id is null or …`,"
        " or say `-- check: null :id, because …`"
    )


@pytest.mark.parametrize(
    "condition",
    [
        "name = :name",
        "lower(name) = lower(:name)",
        "not name <> :name",
        "id = 1 and (nick is null or name > :name)",
        "exists (select from pets where pets.name = :name)",
        "id in (select owner_id from pets join people on people.id = pets.owner_id and pets.name like :name)",
    ],
)
def test_a_comparison_is_found_wherever_it_decides(planted: Planted, condition: str) -> None:
    report = planted.check(
        f"-- name: list_ids\nselect id from people where {condition}", bound("list_ids, name: str | None", "list[int]")
    )

    assert "name may be None, and a comparison with null is never true" in [p.message for p in report.problems]


@pytest.mark.parametrize(
    "condition",
    [
        "name is not distinct from :name",
        "name = coalesce(:name, nick)",
        "(:name::text is null or name = :name)",
        "(:name::text is null or id in (select owner_id from pets where name = :name))",
        "case when :name::text is null then true else name = :name end",
    ],
)
def test_a_condition_that_thinks_of_null_is_right(planted: Planted, condition: str) -> None:
    report = planted.check(
        f"-- name: list_ids\nselect id from people where {condition}", bound("list_ids, name: str | None", "list[int]")
    )

    assert "name may be None, and a comparison with null is never true" not in [p.message for p in report.problems]


def test_a_comparison_with_null_can_be_allowed_with_a_reason(planted: Planted) -> None:
    sql = "-- name: list_ids\n-- check: null :id, because nobody has no id\nselect name from people where id = :id;\n"

    report = planted.check(sql, bound("list_ids, id: int | None", "list[str]"))

    assert report.problems == []
    assert [(exemption.kind, exemption.subject, exemption.reason) for exemption in report.exemptions] == [
        ("null", "id", "nobody has no id")
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "insert into pets (owner_id, name) values (1, :name)",
        "insert into pets (owner_id, name) values (1, :name), (2, 'Rex')",
        "insert into pets (owner_id, name) select id, :name from people",
        'insert into pets (owner_id, name) values (1, :name collate "C")',
        "update pets set name = :name where id = 1",
        "merge into pets using people on pets.owner_id = people.id when matched then update set name = :name",
        "with gone as (delete from pets where id = 1 returning id), n as"
        " (insert into pets (owner_id, name) select id, cast(:name as varchar(9)) from gone) delete from gone_pets",
    ],
)
def test_none_must_not_go_into_a_column_that_cannot_be_null(planted: Planted, sql: str) -> None:
    planted.schema += "create table gone_pets (id bigint);"

    report = planted.check(f"-- name: write\n{sql}", bound("write, name: str | None", "None"))

    problem = next(problem for problem in report.problems if "goes into" in problem.message)
    assert problem.message == "name may be None, and goes into pets.name, which cannot be null"
    assert problem.postgresql.endswith(", a value of pets.name")
    assert problem.mend == "declare it `name: str`, or write coalesce(:name, …)"
    assert problem.place is not None
    assert problem.place.source[problem.place.column - 1 :].startswith(":name")


@pytest.mark.parametrize(
    "sql",
    [
        "update people set name = coalesce(:name, name) where id = 1 on conflict do nothing",
        "update people set nick = :name where id = 1",
        "insert into people (name, nick) values ('ann', :name) on conflict do nothing",
    ],
)
def test_none_may_go_where_null_may(planted: Planted, sql: str) -> None:
    sql = sql.replace("where id = 1 on conflict do nothing", "where id = 1")

    report = planted.check(
        f"-- name: write\n-- check: conflict people_name_key, because of the test\n{sql}",
        bound("write, name: str | None", "None"),
    )

    assert [problem.message for problem in report.problems if "name may be None" in problem.message] == []
