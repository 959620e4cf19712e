import pytest

from app.check.checks import Report
from tests.check.planting import Planted, bound

ADD = "-- name: add\ninsert into people (name, nick) values (:name, null)"


def add(planted: Planted, statement: str = ADD, options: str = "") -> Report:
    return planted.check(statement, bound("add, name: str", "None"), options=options)


def test_a_statement_that_nobody_binds_is_reported(planted: Planted) -> None:
    assert planted.problems(
        "-- name: one\nselect 1 as one;\n\n-- name: two\nselect 2 as two;", bound("two", "int")
    ) == [
        "sql/people.sql:1:1: error: no function is bound to one\n"
        "-- name: one\n"
        "^\n"
        "  Python says     people.py has no `async def one`\n"
        "  To mend it      delete it, or paste what `check --describe people.one` prints"
    ]


def test_a_migration_without_a_rollback_is_reported(planted: Planted) -> None:
    (planted.migrations / "0001.create-people.sql").write_text("-- People.\ncreate table people ();\n")
    (planted.migrations / "0002.create-pets.sql").write_text("create table pets ();\n")
    (planted.migrations / "0002.create-pets.rollback.sql").write_text("drop table pets;\n")

    assert planted.problems("-- name: one\nselect 1 as one", bound("one", "int")) == [
        "migrations/0001.create-people.sql:1:1: error: the migration cannot be undone\n"
        "-- People.\n"
        "^\n"
        "  To mend it      write 0001.create-people.rollback.sql"
    ]


@pytest.mark.parametrize("option", ["conflicts", "references"])
def test_a_constraint_that_does_not_exist_is_reported_where_it_is_named(planted: Planted, option: str) -> None:
    options = f', {option}={{"people_name_kee": "name", "people_name_key": "name"}}'

    (problem,) = planted.check("-- name: one\nselect 1 as one", bound("one", "int"), options=options).problems

    column = 67 + len(option)
    assert str(problem).startswith(
        f"people.py:8:{column}: error: there is no constraint or unique index people_name_kee\n"
    )
    assert problem.postgresql == "no constraint, no unique index and no function that raises this name"


def test_a_function_can_raise_the_name_of_a_constraint(planted: Planted) -> None:
    planted.schema += """
        create function known(id bigint) returns boolean language plpgsql as $$
        begin
            raise foreign_key_violation using message = 'gone', constraint = 'known_person';
        end $$
    """
    options = ', references={"known_person": "person"}'

    assert planted.problems("-- name: one\nselect 1 as one", bound("one", "int"), options=options) == []


def test_a_unique_constraint_that_nobody_maps_is_reported(planted: Planted) -> None:
    (problem,) = add(planted).problems

    assert str(problem) == (
        "sql/people.sql:2:1: error: add can violate people_name_key, and nothing says which field that is\n"
        "insert into people (name, nick) values (:name, null)\n"
        "^\n"
        "  Python says     people.py:10:1: conflicts are none\n"
        "  PostgreSQL says people_name_key is unique, and the statement writes to it\n"
        '  To mend it      add `"people_name_key": "<field>"` to `conflicts`, write `on conflict …`,'
        " or say `-- check: conflict people_name_key, because …`"
    )


def test_a_mapped_constraint_is_no_problem(planted: Planted) -> None:
    assert add(planted, options=', conflicts={"people_name_key": "name"}').problems == []


def test_a_conflict_can_be_allowed_with_a_reason(planted: Planted) -> None:
    note = "-- check: conflict people_name_key, because names are random\n"

    assert add(planted, ADD.replace("insert", note + "insert")).problems == []


@pytest.mark.parametrize(
    ("clause", "violated"),
    [
        ("on conflict do nothing", []),
        ("on conflict (name) do nothing", []),
        ("on conflict on constraint people_name_key do update set nick = excluded.nick", []),
        ("on conflict (id) do nothing", ["people_name_key"]),
        ("on conflict (name) do update set name = excluded.name || '2'", ["people_name_key"]),
    ],
)
def test_on_conflict_takes_care_of_the_constraint_it_names(planted: Planted, clause: str, violated: list[str]) -> None:
    (query,) = add(planted, f"{ADD} {clause}").queries

    assert query.description is not None
    assert list(query.description.can_violate) == violated


@pytest.mark.parametrize(
    ("statement", "violated"),
    [
        ("update people set nick = :name where id = 1", []),
        ("update people set name = :name where id = 1", ["people_name_key"]),
        ("insert into people (id, name) overriding system value values (1, :name)", ["people_name_key", "people_pkey"]),
        ("insert into teams (name) values (:name)", ["teams_lower_key", "teams_slug_key"]),
        ("update teams set number = 1 where :name = id::text", ["teams_number_key"]),
        ("update teams set name = :name where id is null", ["teams_lower_key", "teams_slug_key"]),
        ("with t as (insert into teams (name) values ('a') on conflict do nothing) select :name::text", []),
        ("insert into teams (name) values (:name) on conflict (lower(name)) do nothing", ["teams_slug_key"]),
        (
            "insert into teams (note) values (:name) on conflict (note) do nothing",
            ["teams_note_lower_key", "teams_slug_key"],
        ),
        (
            "insert into teams (note) values (:name) on conflict (lower(note)) do nothing",
            ["teams_note_key", "teams_slug_key"],
        ),
    ],
)
def test_a_constraint_can_be_violated_through_what_its_columns_are_made_of(
    planted: Planted, statement: str, violated: list[str]
) -> None:
    planted.schema += """
        create table teams (
            id uuid default gen_random_uuid() constraint teams_pkey primary key,
            name text, note text constraint teams_note_key unique, number int constraint teams_number_key unique,
            slug text generated always as (name || '!') stored constraint teams_slug_key unique
        );
        create unique index teams_lower_key on teams (lower(name));
        create unique index teams_note_lower_key on teams (lower(note));
    """

    (query,) = add(planted, f"-- name: add\n{statement}").queries

    assert query.description is not None
    assert list(query.description.can_violate) == violated


def test_an_insert_that_leaves_out_what_must_be_given_is_reported(planted: Planted) -> None:
    (problem,) = add(planted, "-- name: add\ninsert into pets (name) values (:name)").problems

    assert str(problem) == (
        "sql/people.sql:2:1: error: the insert leaves out pets.owner_id and always fails\n"
        "insert into pets (name) values (:name)\n"
        "^\n"
        "  Python says     people.py:10:1: add\n"
        "  PostgreSQL says pets.owner_id is not null and has no default\n"
        "  To mend it      write pets.owner_id, or give it a default"
    )


def test_a_file_that_no_module_reads_is_reported(planted: Planted) -> None:
    (planted.folder / "sql" / "cats.sql").write_text("-- name: list_cats\nselect 1;\n")

    assert planted.problems("-- name: one\nselect 1 as one", bound("one", "int")) == [
        "sql/cats.sql:1:1: error: no module binds functions to this file\n"
        "-- name: list_cats\n"
        "^\n"
        "  To mend it      delete it, or bind it"
    ]
