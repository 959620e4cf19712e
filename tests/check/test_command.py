from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from types import ModuleType

import psycopg
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from app.check.command import check_command
from app.check.printing import print_problems
from app.check.rules.problems import Problem
from tests.check.planting import Planted, bound

GET_NAME = "-- name: get_name\n-- A name.\nselect name from people where id = :id;\n"
RIGHT = bound("get_name, id: int", "str")
WRONG = bound("get_name, id: int", "int | None")


def run(planted: Planted, *arguments: str) -> Result:
    return CliRunner().invoke(check_command(planted.project), arguments)


@pytest.fixture
def right(planted: Planted) -> Planted:
    """A project without a problem, and its lock file."""
    planted.write(GET_NAME, RIGHT)
    assert run(planted, "--lock").exit_code == 0
    return planted


def test_a_line_for_each_query_and_the_sums(right: Planted) -> None:
    result = run(right)

    lines = result.output.splitlines()
    assert result.exit_code == 0
    assert lines[:2] == ["ok          people.get_name", ""]
    assert lines[2].startswith("1 query, 0 problems, 0 exemptions in ")


def test_a_problem_is_printed_and_is_exit_code_1(right: Planted) -> None:
    right.write(GET_NAME, WRONG)

    result = run(right)

    assert result.exit_code == 1
    assert result.output.splitlines()[:9] == [
        "1 problem   people.get_name",
        "",
        "sql/people.sql:3:8: error: the column name does not fit: text is read as str",
        "select name from people where id = :id;",
        "       ^",
        "  Python says     people.py:10:49: -> int | None",
        "  PostgreSQL says name is text, never null",
        "  To mend it      declare it `str | None`, or cast the column",
        "",
    ]
    assert "lock.json" not in result.output
    assert "1 query, 1 problem, 0 exemptions" in result.output


def test_a_lock_file_that_is_out_of_date_is_one_line(right: Planted) -> None:
    assert run(right, "--lock").exit_code == 0
    right.schema += "alter table people alter name drop not null;"
    right.write(GET_NAME, bound("get_name, id: int", "str | None"))

    result = run(right)

    assert result.exit_code == 1
    [line] = [line for line in result.output.splitlines() if "lock.json" in line]
    assert line == "error: sql/lock.json is older than people.get_name: run `check --lock` and commit the file"


def test_a_warning_fails_the_build_too(right: Planted) -> None:
    right.write(GET_NAME, bound("get_name, id: int", "list[str | None]"))

    result = run(right, "--lock")

    assert result.exit_code == 1
    assert result.output.splitlines()[2:] == [
        "people.py:10:49: warning: what get_name returns may be None, and no statement that fills it ever yields null",
        "async def get_name(db: Executor, *, id: int) -> list[str | None]:",
        "                                                ^",
        "  Python says     people.py:10:49: -> list[str | None]",
        "  PostgreSQL says name is text, never null",
        "  To mend it      declare it `list[str]`",
        "",
        result.output.splitlines()[-1],
    ]


def test_exemptions_are_counted_by_kind(right: Planted) -> None:
    sql = "-- check: one row, because\n-- check: full scan of people, because it is a test\nselect count(*) from people"
    right.write(f"-- name: count_people\n{sql.partition(chr(10))[2]}", bound("count_people", "int"))

    assert "1 query, 0 problems, 1 exemption (1 full scan of) in " in run(right, "--lock").output


def test_a_fragments_problem_is_printed_once_with_the_queries_that_have_it(right: Planted) -> None:
    sql = "select\n-- include: nick\nfrom people where id = 1;\n"
    fragment = "-- fragment: nick\nnick\n"
    right.write(
        f"-- name: get_one\n{sql}-- name: get_two\n{sql}{fragment}", bound("get_one", "str") + bound("get_two", "str")
    )

    output = run(right, "--lock").output

    assert output.count("the column nick can be null") == 1
    assert "  Also in         people.get_two" in output
    assert "2 queries, 1 problem, 0 exemptions" in output


def test_colours_are_for_terminals() -> None:
    problem, terminal, plain = Problem("", None, "a message: error: of words", "Mend it."), StringIO(), StringIO()

    print_problems([problem], Console(file=terminal, force_terminal=True, width=20, soft_wrap=True))
    print_problems([problem], Console(file=plain, width=20, soft_wrap=True))

    assert "\x1b[" in terminal.getvalue()
    assert plain.getvalue() == f"\n{problem}\n"


def test_offline_needs_no_server(right: Planted) -> None:
    right.server_dsn = "postgresql://127.0.0.1:1/nowhere"

    result = run(right, "--offline")

    assert result.exit_code == 0, result.output
    right.write(GET_NAME, WRONG)
    assert run(right, "--offline").exit_code == 1


def test_offline_without_a_lock_says_how_to_get_one(right: Planted) -> None:
    right.project.lock.unlink()

    result = run(right, "--offline")

    assert result.exit_code == 1
    assert "sql/lock.json is missing; `check --lock` writes it" in result.output


def test_against_an_older_release_names_the_queries_that_break(right: Planted) -> None:
    assert run(right, "--against", "sql/lock.json").exit_code == 0
    right.schema += "alter table people rename name to full_name;"

    result = run(right, "--against", "sql/lock.json")

    assert result.exit_code == 1
    assert 'the schema breaks people.get_name: column "name" does not exist' in result.output
    assert result.output.splitlines()[-1] == "1 of the 1 queries of that release would break."


def test_describe_prints_what_can_be_pasted(right: Planted) -> None:
    right.write(GET_NAME, "")

    assert run(right, "--describe", "people.get_name").output == (
        "from app.db import Executor\n"
        "\n\n"
        "@queries.bind\n"
        "async def get_name(db: Executor, *, id: int) -> str:\n"
        '    """A name."""\n'
        "    ...\n"
    )


def test_describing_a_statement_that_is_wrong_shows_where(right: Planted) -> None:
    right.write(GET_NAME.replace("from people", "from peple"), "")

    result = run(right, "--describe", "people.get_name")

    assert result.exit_code == 1
    assert 'sql/people.sql:3:18: relation "peple" does not exist' in result.output


def test_a_statement_that_postgresql_refuses_is_shown_where_it_is_wrong(right: Planted) -> None:
    right.write(GET_NAME.replace("select name", "select nme"), RIGHT)

    result = run(right)

    assert result.exit_code == 1
    assert result.output.splitlines()[2:8] == [
        'sql/people.sql:3:8: error: PostgreSQL refuses the statement: column "nme" does not exist',
        "select nme from people where id = :id;",
        "       ^",
        "  Python says     people.py:10:1: get_name",
        '  PostgreSQL says 42703: column "nme" does not exist',
        '  To mend it      Perhaps you meant to reference the column "people.name".',
    ]


@pytest.mark.parametrize(
    ("sql", "python", "message"),
    [
        (GET_NAME, bound("get_nam, id: int", "str"), "there is no statement 'get_nam' in people.sql; did you mean"),
        (GET_NAME, bound("get_name", "str"), "sql/people.sql:1:1: get_name: :id has no argument"),
        ("-- name: get_name\nselect 'x", RIGHT, "sql/people.sql:2:8: this string is opened by ' and never closed"),
        (GET_NAME, "def get_name(:\n", "people.py:9: SyntaxError: invalid syntax"),
        (GET_NAME, "import no_such_module\n", "people.py:9: ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_what_fails_at_import_is_a_problem_and_no_traceback(
    planted: Planted, sql: str, python: str, message: str
) -> None:
    def load() -> list[ModuleType]:
        planted.write(sql, python)
        return planted.modules

    result = CliRunner().invoke(check_command(replace(planted.project, load=load)))

    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert message in result.output


def test_a_lock_without_some_statement_is_not_written(right: Planted) -> None:
    before = right.project.lock.read_text()
    right.write(GET_NAME.replace("name from", "nam from"), RIGHT)

    result = run(right, "--lock")

    assert result.exit_code == 1
    assert result.output.startswith("The lock file stays as it was")
    assert right.project.lock.read_text() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["--offline", "--lock"],
        ["--offline", "--server", "postgresql://127.0.0.1/x"],
        ["--describe", "people.get_name", "--against", "sql/lock.json"],
        ["--describe", "people.get_nam"],
        ["--against", "missing.json"],
        ["--unknown"],
    ],
)
def test_wrong_usage_is_exit_code_2(right: Planted, arguments: list[str]) -> None:
    assert run(right, *arguments).exit_code == 2


def test_a_server_that_is_not_there_is_one_message(right: Planted) -> None:
    result = run(right, "--server", "postgresql://127.0.0.1:1/nowhere")

    assert result.exit_code == 1
    assert "the server of the scratch database cannot be reached" in result.output


def test_the_scratch_database_is_dropped_whatever_happens(right: Planted) -> None:
    used: list[str] = []

    def migrate(dsn: str) -> None:
        used.append(dsn.rpartition("/")[2])
        right.migrate(dsn)

    @contextmanager
    def server() -> Generator[str]:
        yield right.server_dsn

    right.write(GET_NAME, WRONG)
    CliRunner().invoke(check_command(replace(right.project, migrate=migrate, server=server)))

    with psycopg.connect(right.server_dsn) as connection:
        row = connection.execute("select count(*) from pg_database where datname = %s", used).fetchone()
    assert used and row == (0,)


def test_a_statement_of_a_file_that_no_module_binds_can_be_described(right: Planted) -> None:
    (right.folder / "sql/pets.sql").write_text("-- name: count_pets\nselect count(*) as pets from pets;\n")

    assert "async def count_pets(db: Executor) -> int:" in run(right, "--describe", "pets.count_pets").output


def test_describe_offers_a_row_type_that_fits(right: Planted) -> None:
    person = "@dataclass(frozen=True, slots=True)\nclass Person:\n    id: int\n    nick: str | None\n\n\n"
    find = "-- name: find_person\nselect id, nick from people where id = :id;\n"
    right.write(find, person + bound("find_person, id: int", "Person | None"))
    (right.folder / "sql/others.sql").write_text(
        "-- name: list_others\nselect nick, id from people where id <> :id;\n"
        "-- name: list_names\nselect name as nick, id from people where id <> :id;\n"
    )

    fitting = run(right, "--describe", "others.list_others").output
    other = run(right, "--describe", "others.list_names").output

    assert f"from {right.modules[-1].__name__} import Person" in fitting
    assert "list[Person]" in fitting
    assert "@dataclass" not in fitting
    assert "@dataclass" in other
