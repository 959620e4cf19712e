from pathlib import Path

import pytest

from app.check.rules.exemptions import Exemptions
from app.db.sql.places import Place
from app.db.sql.statement import CheckNote
from tests.check.planting import Planted, bound


def noted(text: str) -> Exemptions:
    return Exemptions([CheckNote(text, Place(Path("people.sql"), 2, 1, f"-- check: {text}"))])


@pytest.mark.parametrize(
    ("text", "kind", "subject"),
    [
        ("not null author.username, because it is", "not null", "author.username"),
        ("one row, because there is one", "one row", ""),
        ("full scan of people, because there are few", "full scan of", "people"),
        ("null :viewer_id, because nobody is null", "null", "viewer_id"),
        ("conflict people_name_key, because names are random", "conflict", "people_name_key"),
    ],
)
def test_an_exemption_allows_one_thing(text: str, kind: str, subject: str) -> None:
    exemptions = noted(text)

    (exemption,) = exemptions.known
    assert (exemption.kind, exemption.subject) == (kind, subject)
    assert text.endswith(f", because {exemption.reason}")
    assert not exemptions.allow("not null", "other")
    assert exemptions.used == []
    assert exemptions.allow(exemption.kind, subject)
    assert exemptions.used == [exemption]


@pytest.mark.parametrize(
    "text",
    ["not null name", "not null name, because ", "one row because", "full scan, because", "null viewer, because x"],
)
def test_an_exemption_without_its_form_or_reason_is_a_problem(text: str) -> None:
    (problem,) = noted(text).problems("people.get_name")

    assert str(problem).startswith(
        f"people.sql:2:1: error: the checker does not understand this line\n-- check: {text}\n^\n"
        "  To mend it      write one of: `-- check: not null <column>, because …`; `-- check: not null <column>[],"
    )


def test_an_exemption_that_is_not_needed_is_a_problem(planted: Planted) -> None:
    sql = "-- name: one\n-- check: one row, because there is only one\nselect 1 as one"

    assert planted.problems(sql, bound("one", "int")) == [
        "sql/people.sql:2:1: error: `one row` is not needed: nothing was found here to allow\n"
        "-- check: one row, because there is only one\n"
        "^\n"
        "  To mend it      delete the line"
    ]


def test_an_exemption_of_a_fragment_is_needed_where_one_statement_needs_it(planted: Planted) -> None:
    sql = """
-- name: list_nicks
-- check: full scan of people, because of the test
select
    -- include: nick
from people;

-- name: get_nick
select coalesce(nick, '') as nick
from (
    select
        -- include: nick
    from people where id = 1
) as person;

-- fragment: nick
-- check: not null nick, because everybody has one
nick
"""

    report = planted.check(sql, bound("list_nicks", "list[str]") + bound("get_nick", "str"))

    assert report.problems == []
    assert {exemption.kind for exemption in report.exemptions} == {"full scan of", "not null"}
