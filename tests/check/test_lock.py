import json
from pathlib import Path

import pytest

from app.check.checks import Report
from app.check.lock import LockError, lock_text, read_lock
from app.check.project import check_offline, lock_problem
from tests.check.planting import Planted, bound

SQL = """\
-- name: get_person
-- One person.
select id,
       nick -- "or null"
from people where id = :id;

-- name: rename
-- check: full scan of people, because it is a test
update people set name = :name where name is not distinct from :old;

-- name: list_moods
select array_agg(mood) as moods from pets where id = :id and mood = :mood;
"""
PERSON = "@dataclass(frozen=True, slots=True)\nclass Person:\n    id: int\n    nick: str | None\n"
MOOD = 'class Mood(StrEnum):\n    HAPPY = "happy"\n    SAD = "sad"\n'
FUNCTIONS = (
    bound("get_person, id: int", "Person", PERSON)
    + bound("rename, name: str, old: str | None", "None")
    + bound("list_moods, id: int, mood: Mood", "list[list[Mood] | None]", MOOD)
)
OPTIONS = ', conflicts={"people_name_key": "name"}'


@pytest.fixture
def moody(planted: Planted) -> Planted:
    """A project whose pets have moods."""
    planted.schema += "create type mood as enum ('happy', 'sad'); alter table pets add column mood mood;"
    planted.write(SQL, FUNCTIONS, options=OPTIONS)
    return planted


def locked(planted: Planted) -> Report:
    """Check and write the lock file."""
    report = planted.check_again()
    planted.project.lock.write_text(lock_text(report.described))
    return report


def test_the_lock_says_a_line_for_every_fact(moody: Planted) -> None:
    moody.write(SQL.partition("-- name: rename")[0], FUNCTIONS.partition("@queries.bind\nasync def rename")[0])

    locked(moody)

    assert moody.project.lock.read_text() == (
        "{\n"
        '  "queries": {\n'
        '    "people.get_person": {\n'
        '      "sha256": "ceae609c8a61a30bd81b2ee6b4961c2ba868699eb4b0a0fa8af1b6ff78f97dff",\n'
        '      "promises": "one",\n'
        '      "at_most_one": true,\n'
        '      "parameters": {\n'
        '        "id": "bigint"\n'
        "      },\n"
        '      "optional": [],\n'
        '      "compared": [\n'
        '        "id"\n'
        "      ],\n"
        '      "fills": {},\n'
        '      "columns": {\n'
        '        "id": "bigint not null",\n'
        '        "nick": "text"\n'
        "      },\n"
        '      "can_violate": [],\n'
        '      "reads": [\n'
        '        "people.id",\n'
        '        "people.nick"\n'
        "      ],\n"
        '      "writes": [],\n'
        '      "calls": [],\n'
        '      "sql": [\n'
        '        "select id,",\n'
        '        "       nick",\n'
        '        "from people where id = $1"\n'
        "      ]\n"
        "    }\n"
        "  },\n"
        '  "types": {}\n'
        "}\n"
    )


def test_what_was_locked_is_read_back(moody: Planted) -> None:
    report = locked(moody)

    lock = read_lock(moody.project.lock)

    assert report.problems == []
    for signature, description in report.described:
        entry = lock.entries[signature.name]
        assert entry.parameters == signature.query.parameters
        assert [parameter.type for parameter in entry.description.parameters] == [
            parameter.type for parameter in description.parameters
        ]
        assert entry.description.columns == description.columns
        assert entry.description.lineage == description.lineage
        assert entry.description.can_violate == description.can_violate
        assert entry.description.at_most_one == description.at_most_one


def test_the_order_of_the_queries_does_not_matter(moody: Planted) -> None:
    described = moody.check_again().described

    assert lock_text(described) == lock_text(reversed(described))


def test_a_lock_that_is_up_to_date_is_no_problem(moody: Planted) -> None:
    assert lock_problem(moody.project, locked(moody)) is None


def test_a_lock_that_is_older_than_a_query_names_it(moody: Planted) -> None:
    locked(moody)
    moody.schema += "alter table people alter nick set not null;"
    changed = SQL.replace("-- name: rename", "-- name: name_anew")
    moody.write(changed, FUNCTIONS.replace("def rename", "def name_anew"), options=OPTIONS)

    problem = lock_problem(moody.project, moody.check_again())

    assert str(problem) == (
        "error: sql/lock.json is older than people.get_person, people.name_anew, people.rename:"
        " run `check --lock` and commit the file"
    )


def test_a_missing_lock_is_a_problem(moody: Planted) -> None:
    problem = lock_problem(moody.project, moody.check_again())

    assert str(problem) == f"error: {moody.project.lock} is missing; `check --lock` writes it"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"queries": {"a.b": {}}, "types": {}}'])
def test_a_file_that_is_no_lock_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lock.json"
    path.write_text(text)

    with pytest.raises(LockError, match="is no lock file"):
        read_lock(path)


def test_a_lock_that_was_edited_by_hand_is_an_error(moody: Planted) -> None:
    locked(moody)
    text = moody.project.lock.read_text()
    moody.project.lock.write_text(text.replace("where id = $1", "where id < $1", 1))

    with pytest.raises(LockError, match="edited by hand"):
        read_lock(moody.project.lock)


def test_a_place_in_a_locked_statement_is_found(moody: Planted) -> None:
    locked(moody)
    lock = read_lock(moody.project.lock)
    text = lock.entries["people.get_person"].text

    place = lock.locate("people.get_person", text.index("people"))

    assert place.source[place.column - 1 :] == 'people where id = $1"'
    assert json.loads(place.source.strip().rstrip(",")) == "from people where id = $1"


# Without a server


def test_offline_finds_what_the_lock_can_tell(moody: Planted) -> None:
    locked(moody)
    functions = FUNCTIONS.replace("id: int\n    nick: str | None", "id: str\n    nick: str")
    functions = functions.replace("id: int, mood", "id: int | None, mood").replace(
        "name: str, old", "name: str | None, old"
    )
    functions = functions.replace('    SAD = "sad"\n', '    GLAD = "glad"\n')
    moody.write(SQL, functions)

    messages = [problem.message for problem in check_offline(moody.project, moody.modules).problems]

    assert messages == [
        "the column id does not fit: bigint is read as int",
        "the column nick can be null, and the annotation does not allow None",
        "name may be None, and goes into people.name, which cannot be null",
        "rename can violate people_name_key, and nothing says which field that is",
        "id may be None, and a comparison with null is never true",
        "the argument mood does not fit :mood: mood has no 'glad'; it has 'happy', 'sad'",
        "the column moods does not fit: mood[] is read as list[Mood]",
    ]


def test_offline_is_quiet_where_the_lock_is_right(moody: Planted) -> None:
    locked(moody)

    assert check_offline(moody.project, moody.modules).problems == []


def test_offline_asks_for_a_new_lock_where_a_statement_changed(moody: Planted) -> None:
    locked(moody)
    changed = SQL.replace("name is not distinct", "nick is not distinct").replace(
        "-- name: list_moods", "-- name: moods"
    )
    moody.write(changed, FUNCTIONS.replace("list_moods", "moods"), options=OPTIONS)

    problems = [str(problem) for problem in check_offline(moody.project, moody.modules).problems]

    assert [problem.splitlines()[0] for problem in problems] == [
        "sql/people.sql:7:1: error: the statement changed since it was locked",
        "sql/people.sql:11:1: error: the statement is not in the lock file",
        "sql/lock.json:32:5: error: the lock file has people.list_moods, which is no longer bound",
    ]


def test_a_statement_that_postgresql_refuses_is_not_called_unbound(moody: Planted) -> None:
    locked(moody)
    moody.write(SQL.replace("nick -- ", "nock -- "), FUNCTIONS, options=OPTIONS)

    report = moody.check_again()

    assert [problem.query for problem in report.problems] == ["people.get_person"]
    assert lock_problem(moody.project, report) is None
