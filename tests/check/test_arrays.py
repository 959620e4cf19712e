"""What is said of arrays that may hold nulls, and remembered of those that hold none."""

import pytest
from click.testing import CliRunner

from app.check.command import check_command
from app.check.lock import lock_text
from tests.check.planting import Planted, bound

NAMES = "-- name: get_names\nselect array(select nick from people order by id) as names\n"
SCAN = "-- check: full scan of people, because of the test\n"
NO_NICK = "-- check: not null names[], because a trigger keeps nulls out\n"


def of_names(notes: str = SCAN) -> str:
    return NAMES.replace("select array", f"{notes}select array")


def test_an_element_that_can_be_null_needs_an_annotation_that_says_so(planted: Planted) -> None:
    assert planted.problems(of_names(), bound("get_names", "list[list[str]]")) == [
        "sql/people.sql:3:8: error: an element of names can be null, and the annotation does not allow None\n"
        "select array(select nick from people order by id) as names\n"
        "       ^\n"
        "  Python says     people.py:10:38: -> list[list[str]]\n"
        "  PostgreSQL says names is text[], never null, its elements not proved never null\n"
        "  To mend it      let the elements be None, keep nulls out by `array_remove(…, null)`, or say"
        " `-- check: not null names[], because …`"
    ]
    assert planted.problems(of_names(), bound("get_names", "list[list[str | None]]")) == []
    any_json = of_names().replace("select nick", "select to_jsonb(nick)")
    assert planted.problems(any_json, bound("get_names", "list[list[Any]]", "from typing import Any\n")) == []


def test_an_element_that_is_never_null_need_not_be_optional(planted: Planted) -> None:
    never = of_names().replace("nick", "name")

    assert planted.problems(never, bound("get_names", "list[list[str | None]]")) == [
        "people.py:10:38: warning: an element of what get_names returns may be None, and no statement that fills it"
        " ever yields null\n"
        "async def get_names(db: Executor) -> list[list[str | None]]:\n"
        "                                     ^\n"
        "  Python says     people.py:10:38: -> list[list[str | None]]\n"
        "  PostgreSQL says names is text[], its elements never null\n"
        "  To mend it      declare it `list[list[str]]`"
    ]
    both = planted.problems(never, bound("get_names", "list[list[str | None] | None]"))
    assert [problem.splitlines()[-1].split("`")[1] for problem in both] == [
        "list[list[str | None]]",
        "list[list[str] | None]",
    ]


def test_elements_can_be_allowed_with_a_reason(planted: Planted) -> None:
    assert planted.problems(of_names(SCAN + NO_NICK), bound("get_names", "list[list[str]]")) == []


def test_an_allowance_that_elements_do_not_need_is_reported(planted: Planted) -> None:
    (problem,) = planted.problems(of_names(SCAN + NO_NICK), bound("get_names", "list[list[str | None]]"))

    assert "`not null names[]` is not needed" in problem


def test_the_lock_file_knows_of_elements(planted: Planted) -> None:
    planted.write(of_names().replace("nick", "name"), bound("get_names", "list[list[str]]"))
    planted.project.lock.write_text(lock_text(planted.check_again().described))

    assert '"names": "text[] of no nulls not null"' in planted.project.lock.read_text()
    assert run(planted, "--offline").startswith("ok")


def test_a_null_in_an_array_breaks_the_release_that_knew_of_none(planted: Planted) -> None:
    planted.write(of_names().replace("nick", "name"), bound("get_names", "list[list[str]]"))
    planted.project.lock.write_text(lock_text(planted.check_again().described))
    planted.schema += "alter table people alter name drop not null"

    assert "people.get_names: the column names held no nulls and can hold some" in run(
        planted, "--against", "sql/lock.json"
    )


@pytest.mark.parametrize(("column", "element"), [("nick", "str | None"), ("name", "str")])
def test_what_is_written_for_an_array_says_whether_it_holds_nulls(planted: Planted, column: str, element: str) -> None:
    planted.write(of_names().replace("nick", column), "")

    assert f"-> list[list[{element}]]:" in run(planted, "--describe", "people.get_names")


def run(planted: Planted, *arguments: str) -> str:
    """What the command prints."""
    return CliRunner().invoke(check_command(planted.project), arguments).output
