"""The kinds of binding beside the plain ones: streams, COPY, and rows within rows."""

from click.testing import CliRunner

from app.check.command import check_command
from tests.check.planting import Planted, bound

ROWS = "rows: Iterable[NewPet] | AsyncIterable[NewPet]"
NEW_PET = "@dataclass(frozen=True, slots=True)\nclass NewPet:\n    owner_id: int\n    name: str\n"
COPY = "-- name: copy_pets\ncopy pets (owner_id,\n    name) from stdin;\n"


def test_a_stream_is_checked_as_a_list(planted: Planted) -> None:
    stream = bound("stream_nicks, name: str", "AbstractAsyncContextManager[AsyncIterator[str]]")

    problems = planted.problems(
        "-- name: stream_nicks\nselect nick from people where name = :name", stream.replace("async def", "def")
    )

    assert [problem.splitlines()[0] for problem in problems] == [
        "sql/people.sql:2:8: error: the column nick can be null, and the annotation does not allow None"
    ]


def test_a_copy_that_fits_its_table_has_no_problem(planted: Planted) -> None:
    assert planted.problems(COPY, bound(f"copy_pets, {ROWS}", "int", NEW_PET)) == []


def test_the_fields_of_copied_rows_are_checked_against_the_columns(planted: Planted) -> None:
    row = NEW_PET.replace("owner_id: int", "owner_id: str").replace("name: str", "name: str | None")

    assert planted.problems(COPY, bound(f"copy_pets, {ROWS}", "int", row)) == [
        "sql/people.sql:2:12: error: the argument owner_id does not fit :owner_id: bigint takes int\n"
        "copy pets (owner_id,\n"
        "           ^\n"
        "  Python says     people.py:11:15: NewPet.owner_id: str\n"
        "  PostgreSQL says :owner_id is bigint, a value of pets.owner_id\n"
        "  To mend it      declare it `owner_id: int`",
        "sql/people.sql:3:5: error: name may be None, and goes into pets.name, which cannot be null\n"
        "    name) from stdin;\n"
        "    ^\n"
        "  Python says     people.py:12:11: NewPet.name: str | None\n"
        "  PostgreSQL says :name is text, a value of pets.name\n"
        "  To mend it      declare it `NewPet.name: str`",
    ]


def test_a_copy_can_violate_and_leave_out_what_an_insert_can(planted: Planted) -> None:
    people = NEW_PET.replace("    owner_id: int\n", "")
    sql = "-- name: copy_pets\ncopy pets (name) from stdin;\n-- name: copy_people\ncopy people (name) from stdin;\n"

    problems = planted.check(
        sql, bound(f"copy_pets, {ROWS}", "int", people) + bound(f"copy_people, {ROWS}", "int")
    ).problems

    assert [problem.message for problem in problems] == [
        "the copy leaves out pets.owner_id and always fails",
        "copy_people can violate people_name_key, and nothing says which field that is",
    ]


def test_a_copy_into_what_is_not_there_is_refused_at_its_beginning(planted: Planted) -> None:
    (problem,) = planted.check(COPY.replace("pets (", "pet ("), bound(f"copy_pets, {ROWS}", "int", NEW_PET)).problems

    assert str(problem.place) == "sql/people.sql:2:1"
    assert problem.message == 'PostgreSQL refuses the statement: relation "pet" does not exist'


def test_a_copy_is_locked_as_an_insert_and_described_with_its_row(planted: Planted) -> None:
    planted.write(COPY, bound(f"copy_pets, {ROWS}", "int", NEW_PET))
    runner, command = CliRunner(), check_command(planted.project)

    assert runner.invoke(command, ["--lock"]).exit_code == 0
    assert runner.invoke(command, ["--offline"]).exit_code == 0
    assert runner.invoke(command, ["--against", "sql/lock.json"]).exit_code == 0
    assert '"insert into \\"pets\\" (\\"owner_id\\", \\"name\\") values ($1, $2)"' in planted.project.lock.read_text()
    assert runner.invoke(command, ["--describe", "people.copy_pets"]).output.endswith(
        "class Pet:\n"
        '    """…"""\n'
        "\n"
        "    owner_id: int\n"
        "    name: str\n"
        "\n\n"
        "@queries.bind\n"
        "async def copy_pets(db: Executor, *, rows: Iterable[Pet] | AsyncIterable[Pet]) -> int:\n"
        '    """…"""\n'
        "    ...\n"
    )


OWNER = (
    "@dataclass(frozen=True, slots=True)\nclass Owner:\n    id: int\n"
    "@dataclass(frozen=True, slots=True)\nclass Pet:\n    name: str\n    owner: Owner | None\n"
)


def test_the_columns_of_a_row_that_may_be_none_may_be_null(planted: Planted) -> None:
    sql = (
        '-- name: get_pet\nselect pets.name, people.id as "owner.id"\n'
        "from pets left join people on people.id = owner_id and nick is not null where pets.id = :id"
    )

    assert planted.problems(sql, bound("get_pet, id: int", "Pet", OWNER)) == []


def test_a_composite_fills_a_row(planted: Planted) -> None:
    planted.schema += "create type owner as (id bigint); alter table pets add column owner owner;"
    sql = "-- name: get_pet\nselect name, owner from pets where id = :id"

    row = OWNER.replace("id: int", "id: int | None")
    assert planted.problems(sql, bound("get_pet, id: int", "Pet", row)) == []
    (problem,) = planted.check(sql, bound("get_pet, id: int", "Pet", OWNER.replace("id: int", "key: int"))).problems
    assert problem.message == "the column owner does not fit: owner is read as tuple[int | None]"
