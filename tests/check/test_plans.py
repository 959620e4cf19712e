import pytest

from app.check.checks import Report
from tests.check.planting import Planted, bound


def listing(planted: Planted, statement: str, note: str = "", arguments: str = "") -> Report:
    """A report on a statement that returns one column of numbers."""
    signature = f"list_ids{', ' if arguments else ''}{arguments}"
    return planted.check(f"-- name: list_ids\n{note}{statement}", bound(signature, "list[int]"))


def test_a_condition_without_an_index_is_shown_with_its_predicate(planted: Planted) -> None:
    (problem,) = listing(planted, "select id from people where nick = :nick", arguments="nick: str").problems

    assert str(problem) == (
        "sql/people.sql:2:16: error: no index of people serves (nick = :nick)\n"
        "select id from people where nick = :nick\n"
        "               ^\n"
        "  Python says     people.py:10:1: list_ids\n"
        "  PostgreSQL says reads every row of people, with sequential scans disabled\n"
        "  To mend it      create an index, add a condition, or say `-- check: full scan of people, because …`"
    )


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("select id from people", "nothing narrows what is read of people"),
        ("select count(*) from people", "nothing narrows what is read of people"),
        ("select id from people order by id", "nothing narrows what is read of people"),
        ("select id from pets where name = 'Rex'", "no index of pets serves (name = 'Rex'::text)"),
        ("select id from pets where owner_id = 1 or name = 'Rex'", "no index of pets serves "),
        (
            "select id from people where nick = 'Al' order by id limit 3",
            "no index of people serves (nick = 'Al'::text)",
        ),
        ("select people.id from people join pets on pets.name = people.name where people.id = 1", "no index of pets"),
        ("with p as (select id from people where nick = 'Al') select id from p", "no index of people"),
        (
            "select (select max(id) from pets where pets.name = people.nick) from people where id = 1",
            "no index of pets",
        ),
    ],
)
def test_a_table_that_is_read_from_end_to_end_is_reported(planted: Planted, statement: str, found: str) -> None:
    assert any(problem.message.startswith(found) for problem in listing(planted, statement).problems)


@pytest.mark.parametrize(
    "statement",
    [
        "select id from people where id = 1",
        "select id from people where name = 'Ann'",
        "select id from people where id > 3 order by id desc",
        "select id from people order by id limit 3",
        "select pets.id from people join pets on pets.owner_id = people.id where people.name = 'Ann'",
        "select id from pets where owner_id in (1, 2) and name = 'Rex'",
        "select id from pets where owner_id = 1 or id = 2",
        "select id from pets where '{Rex}' <@ array[name] and id = 1",
        "select coalesce(max(id), 0) as id from pets",
        "select 1 as id",
        "insert into pets (owner_id, name) values (1, 'Rex') returning id",
    ],
)
def test_a_statement_that_an_index_serves_is_no_problem(planted: Planted, statement: str) -> None:
    assert [problem.message for problem in listing(planted, statement).problems] == []


def test_an_expression_and_a_part_of_a_table_can_have_an_index(planted: Planted) -> None:
    planted.schema += (
        "create index people_nick_idx on people (lower(nick));"
        "create index people_old_idx on people (id) where joined_on < '2000-01-01';"
    )

    by_expression = listing(
        planted,
        "select p.id from people p join pets on pets.owner_id = p.id where lower(p.nick) = :nick",
        arguments="nick: str",
    )
    by_part = listing(planted, "select id from people where joined_on < '2000-01-01'")

    assert by_expression.problems + by_part.problems == []


def test_a_full_scan_can_be_allowed_with_a_reason_which_is_counted(planted: Planted) -> None:
    report = listing(
        planted, "select id from people", "-- check: full scan of people, because there are never more than ten\n"
    )

    assert report.problems == []
    assert [exemption.reason for exemption in report.exemptions] == ["there are never more than ten"]


def test_a_parameter_of_a_domain_that_refuses_null_is_planned_for(planted: Planted) -> None:
    planted.schema += "create domain nickname as text not null; create table nicks (nick nickname primary key, id int);"

    report = listing(planted, "select id from nicks where nick = :nick::nickname", arguments="nick: str")

    assert [problem.message for problem in report.problems] == [
        "the column id can be null, and the annotation does not allow None"
    ]


def test_a_command_that_has_no_plan_needs_none(planted: Planted) -> None:
    problems = planted.problems("-- name: show_it\nshow work_mem", bound("show_it", "str | None"))

    assert [line for problem in problems for line in problem.splitlines() if "index" in line] == []
