"""docs/check.md: each finding that it shows is what the checker prints."""

from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner

from app.check.command import check_command
from app.check.lock import lock_text
from tests.check.planting import Planted, bound

DOCUMENT = Path(__file__).parents[2] / "docs" / "check.md"

PERSON = "@dataclass(frozen=True, slots=True)\nclass Person:\n    id: int\n    nick: str | None\n"
PET = (
    "@dataclass(frozen=True, slots=True)\nclass Owner:\n    id: int\n    nick: str\n"
    "@dataclass(frozen=True, slots=True)\nclass Pet:\n    owner: Owner | None\n"
)
FIND = bound("find, id: int", "Person | None", PERSON)
FIND_PET = bound("find, id: int", "Pet | None", PET)
ADD_PET = "-- name: add_pet\ninsert into pets (owner_id, name)\nvalues (:owner_id, :name);\n"
ADD_PERSON = "-- name: add_person\ninsert into people (name) values (:name);\n"
PET_OF_OWNER = 'people.id as "owner.id", people.nick as "owner.nick"'
OPTIONS = ', conflicts={"people_name_key": "name"}'

# What each finding of the document is found in, in its order: statement, functions, options of Queries.
PLANTED = [
    ("-- name: get_name\nselect nam from people where id = :id;\n", bound("get_name, id: int", "str"), ""),
    ("-- name: get_name\nselect name from people where id = :id;\n", bound("get_name, id: str", "str"), ""),
    (ADD_PET, bound("add_pet, owner_id: int, name: str | None", "None"), ""),
    (
        "-- name: list_ids\nselect id from pets where owner_id = :owner_id;\n",
        bound("list_ids, owner_id: int | None", "list[int]"),
        "",
    ),
    (
        "-- name: list_names\nselect name from people where id in (:ids);\n",
        bound("list_names, ids: list[int]", "list[str]"),
        "",
    ),
    (
        "-- name: list_names\nselect name from pets where owner_id = 1 order by :key;\n",
        bound("list_names, key: str", "list[str]"),
        "",
    ),
    (
        "-- name: find\nselect id, nick, name from people where id = :id;\n",
        FIND,
        "",
    ),
    ("-- name: find\nselect id from people where id = :id;\n", FIND, ""),
    ("-- name: find\nselect id, nick from people where id = :id;\n", FIND.replace("str | None", "str"), ""),
    (
        f"-- name: find\nselect {PET_OF_OWNER}\nfrom pets left join people on people.name = pets.name\n"
        "where pets.id = :id;\n",
        FIND_PET,
        "",
    ),
    (
        "-- name: get_nicks\n-- check: full scan of people, because of the test\n"
        "select array_agg(nick) as nicks from people;\n",
        bound("get_nicks", "list[list[str] | None]"),
        "",
    ),
    ("-- name: find\nselect id, name as nick from people where id = :id;\n", FIND, ""),
    (
        f"-- name: find\nselect {PET_OF_OWNER} from pets join people on people.id = owner_id where pets.id = :id;\n",
        FIND_PET.replace("nick: str", "nick: str | None"),
        "",
    ),
    (
        "-- name: get_id\nselect id from pets where owner_id = :owner_id;\n",
        bound("get_id, owner_id: int", "int"),
        "",
    ),
    ("-- name: one\nselect 1 as one;\n", "", ""),
    ("", "", ', conflicts={"people_name_kee": "name"}'),
    (ADD_PERSON, bound("add_person, name: str", "None"), ""),
    ("-- name: add_pet\ninsert into pets (name) values (:name);\n", bound("add_pet, name: str", "None"), ""),
    (
        "-- name: list_ids\nselect id from people where nick = :nick;\n",
        bound("list_ids, nick: str", "list[int]"),
        "",
    ),
    (
        "-- name: get_id\n-- check: one row, because there is only one\nselect id from people where id = :id;\n",
        bound("get_id, id: int", "int"),
        "",
    ),
]


def examples() -> list[str]:
    """The indented paragraphs of the document, without their margin."""
    paragraphs = DOCUMENT.read_text().split("\n\n")
    return [dedent(text).strip() for text in paragraphs if text.startswith("    ")]


def findings(*files: str) -> list[str]:
    """The problems that the document shows in these files."""
    return [text for text in examples() if text.partition(":")[0] in files]


PLANTED_FINDINGS = findings("sql/people.sql", "people.py")


@pytest.mark.parametrize(("finding", "case"), list(zip(PLANTED_FINDINGS, PLANTED, strict=True)))
def test_a_finding_is_what_the_checker_prints(planted: Planted, finding: str, case: tuple[str, str, str]) -> None:
    sql, python, options = case

    assert finding in planted.problems(sql, python, options=options)


def test_a_migration_without_a_rollback_is_shown_as_it_is(planted: Planted) -> None:
    (planted.migrations / "0001.create-people.sql").write_text("-- People.\ncreate table people ();\n")

    assert planted.problems("", "") == findings("migrations/0001.create-people.sql")


def test_a_lock_file_that_is_older_is_shown_as_it_is(planted: Planted) -> None:
    planted.write("-- name: find\nselect id, nick from people where id = :id;\n", FIND)
    lock(planted, planted.project.lock)
    planted.schema += "alter table people alter id type integer"

    (finding,) = [text for text in examples() if "sql/lock.json is older" in text]
    assert finding in printed(planted)


def test_what_breaks_the_release_that_runs_is_shown_as_it_is(planted: Planted) -> None:
    planted.write(ADD_PERSON, bound("add_person, name: str", "None"), options=OPTIONS)
    lock(planted, planted.folder / "v1.0.json")
    planted.schema += "alter table people rename name to full_name"

    (finding,) = findings("v1.0.json")
    assert finding in printed(planted, "--against", "v1.0.json")


def test_a_described_statement_is_shown_as_it_is(planted: Planted) -> None:
    planted.write("-- name: find_person\nselect id, nick from people where id = :id", "")

    _, _, shown = DOCUMENT.read_text().partition("    $ python -m app check ")
    arguments, _, text = shown.partition("\n## ")[0].partition("\n")
    assert printed(planted, *arguments.split()) == dedent(text).rstrip() + "\n"


def lock(planted: Planted, path: Path) -> None:
    """Write the lock file of what is planted."""
    path.write_text(lock_text(planted.check_again().described))


def printed(planted: Planted, *arguments: str) -> str:
    """What the command prints."""
    return CliRunner().invoke(check_command(planted.project), arguments).output
