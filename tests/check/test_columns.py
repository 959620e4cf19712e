import pytest

from tests.check.planting import Planted, bound

PERSON = "@dataclass(frozen=True, slots=True)\nclass Person:\n    id: int\n    nick: str | None\n"
SCANS = "-- check: full scan of people, because it is a test\n"


def problems(planted: Planted, sql: str, row: str = PERSON, returns: str = "list[Person]") -> list[str]:
    """The problems of one statement that reads all people."""
    return planted.problems(f"-- name: list_people\n{SCANS}{sql}", bound("list_people", returns, row))


def test_a_right_row_type_has_no_problem(planted: Planted) -> None:
    assert problems(planted, "select nick, id from people") == []


def test_a_nullable_column_needs_an_optional_field(planted: Planted) -> None:
    row = PERSON.replace("nick: str | None", "nick: str")

    assert problems(planted, "select id,\n       nick from people", row) == [
        "sql/people.sql:4:8: error: the column nick can be null, and the annotation does not allow None\n"
        "       nick from people\n"
        "       ^\n"
        "  Python says     people.py:12:11: Person.nick: str\n"
        "  PostgreSQL says nick is text, not proved never null\n"
        "  To mend it      declare it `Person.nick: str | None`, select coalesce(…), or say"
        " `-- check: not null nick, because …`"
    ]


def test_a_nullable_column_can_be_allowed_with_a_reason(planted: Planted) -> None:
    sql = "-- check: not null nick, because of a trigger\nselect id, nick from people"

    assert problems(planted, sql, PERSON.replace("str | None", "str")) == []


def test_a_field_that_is_never_none_is_a_warning(planted: Planted) -> None:
    assert problems(planted, "select id, name as nick from people") == [
        "people.py:12:11: warning: Person.nick may be None, and no statement that fills it ever yields null\n"
        "    nick: str | None\n"
        "          ^\n"
        "  Python says     people.py:12:11: Person.nick: str | None\n"
        "  PostgreSQL says nick is text, never null\n"
        "  To mend it      declare it `Person.nick: str`"
    ]


def test_a_field_that_one_statement_leaves_null_may_be_none(planted: Planted) -> None:
    listing = f"-- name: list_people\n{SCANS}select id, name as nick from people;\n"
    finding = "-- name: find\nselect id, nick from people where id = :id;\n"
    functions = bound("list_people", "list[Person]", PERSON) + bound("find, id: int", "Person | None")

    assert planted.problems(listing + finding, functions) == []


def test_names_that_do_not_fit_are_shown_one_by_one(planted: Planted) -> None:
    assert problems(planted, "select id, name, id from people") == [
        "sql/people.sql:3:12: error: the column name has no field\n"
        "select id, name, id from people\n"
        "           ^\n"
        "  Python says     people.py:14:40: -> list[Person]\n"
        "  PostgreSQL says the columns are id, name, id\n"
        '  To mend it      name the columns as the fields are named, each once; a nested field as `"author.username"`',
        "sql/people.sql:3:18: error: the column id comes twice\n"
        "select id, name, id from people\n"
        "                 ^\n"
        "  Python says     people.py:14:40: -> list[Person]\n"
        "  PostgreSQL says the columns are id, name, id\n"
        '  To mend it      name the columns as the fields are named, each once; a nested field as `"author.username"`',
        "sql/people.sql:3:8: error: the field nick has no column\n"
        "select id, name, id from people\n"
        "       ^\n"
        "  Python says     people.py:12:11: Person.nick: str | None\n"
        "  PostgreSQL says the columns are id, name, id\n"
        '  To mend it      select it: `… as "nick"`; or delete the field',
    ]


def test_a_scalar_is_one_column(planted: Planted) -> None:
    (problem,) = problems(planted, "select id, name from people", returns="list[int]")

    assert problem.startswith("sql/people.sql:3:12: error: a scalar is one column, and these are 2\n")


def test_a_statement_without_columns_fills_nothing(planted: Planted) -> None:
    (problem,) = planted.problems("-- name: go\ndelete from pets where id = 1", bound("go", "list[int]"))

    assert problem.startswith("sql/people.sql:2:1: error: the statement returns no columns\n")
    assert "the columns are none" in problem


def test_a_column_of_another_type_is_shown_from_both_sides(planted: Planted) -> None:
    assert problems(planted, "select id, joined_on as nick from people")[0] == (
        "sql/people.sql:3:12: error: the column nick does not fit: date is read as date\n"
        "select id, joined_on as nick from people\n"
        "           ^\n"
        "  Python says     people.py:12:11: Person.nick: str | None\n"
        "  PostgreSQL says nick is date, never null\n"
        "  To mend it      declare it `date | None`, or cast the column"
    )


NESTED = (
    "@dataclass(frozen=True, slots=True)\nclass Owner:\n    id: int\n    nick: str\n"
    "@dataclass(frozen=True, slots=True)\nclass Pet:\n    name: str\n    owner: Owner\n"
)


def test_a_nested_field_is_checked_as_every_other(planted: Planted) -> None:
    columns = 'pets.name, people.id as "owner.id", nick as "owner.nick"'
    sql = f"select {columns} from pets join people on people.id = owner_id"

    (problem,) = planted.problems(
        f"-- name: list_pets\n-- check: full scan of pets, because of the test\n{sql}",
        bound("list_pets", "list[Pet]", NESTED),
    )

    assert problem.startswith("sql/people.sql:3:44: error: the column owner.nick can be null")
    assert "people.py:12:11: Owner.nick: str" in problem


def test_a_scalar_that_can_be_null_needs_an_optional(planted: Planted) -> None:
    (problem,) = problems(planted, "select nick from people", returns="list[str]")

    assert "the column nick can be null" in problem
    assert "declare it `list[str | None]`" in problem


@pytest.mark.parametrize("returns", ["str | None", "int", "None"])
def test_an_optional_row_may_hold_a_null_and_a_count_is_not_null(planted: Planted, returns: str) -> None:
    statement = {
        "str | None": "select nick from people where id = 1",
        "int": "select count(*) from pets where owner_id = 1",
        "None": "delete from pets where id = 1",
    }[returns]

    assert planted.problems(f"-- name: go\n{statement}", bound("go", returns)) == []


OPTIONAL = NESTED.replace("owner: Owner\n", "owner: Owner | None\n")
PETS = "-- name: list_pets\n-- check: full scan of pets, because of the test\n"
OUTER_JOIN = "from pets left join people on people.id = owner_id and people.name <> :name"


def outer_joined(planted: Planted, columns: str, row: str = OPTIONAL, source: str = OUTER_JOIN) -> list[str]:
    return planted.problems(
        f"{PETS}select pets.name, {columns} {source}", bound("list_pets, name: str", "list[Pet]", row)
    )


def test_a_row_of_json_alone_cannot_be_told_from_one_that_is_missing(planted: Planted) -> None:
    planted.schema += "alter table people add column data jsonb not null default 'null';"
    row = OPTIONAL.replace("    id: int\n    nick: str\n", "    data: dict[str, int]\n")

    (problem,) = outer_joined(planted, 'people.data as "owner.data"', row)

    assert "owner that is there cannot be told from one that is missing: JSON null is None, too\n" in problem
    assert (
        "To mend it      select a column beside it that is never null where the row is there, such as its key"
        in problem
    )


def test_a_row_with_a_key_beside_its_json_is_there_or_missing(planted: Planted) -> None:
    planted.schema += "alter table people add column data jsonb not null default 'null';"
    row = OPTIONAL.replace("nick: str", "data: dict[str, int]")

    assert outer_joined(planted, 'people.id as "owner.id", people.data as "owner.data"', row) == []


def test_a_field_of_json_may_be_none_where_the_column_is_never_null(planted: Planted) -> None:
    planted.schema += "alter table people add column data jsonb not null default 'null';"
    row = PERSON.replace("nick: str", "data: dict[str, int]")

    assert problems(planted, "select id, data from people", row) == []


def test_what_is_computed_of_an_argument_that_is_never_none_is_never_null(planted: Planted) -> None:
    sql = "select name || :tail as name, coalesce(nick, :tail) as nick, :any::jsonb as other from people"
    row = "@dataclass(frozen=True, slots=True)\nclass Person:\n    name: str\n    nick: str\n    other: object\n"

    def found(arguments: str) -> list[str]:
        texts = planted.problems(
            f"-- name: list_people\n{SCANS}{sql}", bound(f"list_people, {arguments}", "list[Person]", row)
        )
        return [text.partition("error: ")[2].partition(" can be null")[0] for text in texts]

    assert found("tail: str, any: object") == ["the column other"]
    assert found("tail: str, any: dict[str, int]") == []
    assert found("tail: str | None, any: dict[str, int]") == ["the column name", "the column nick"]


def test_a_row_that_an_outer_join_may_miss_is_none_as_a_whole(planted: Planted) -> None:
    columns = 'people.id as "owner.id", people.name as "owner.nick"'

    assert outer_joined(planted, columns) == []
    optional = OPTIONAL.replace("nick: str", "nick: str | None")
    assert outer_joined(planted, 'people.id as "owner.id", nick as "owner.nick"', optional) == []


def test_a_null_inside_a_row_that_is_there_is_found(planted: Planted) -> None:
    (problem,) = outer_joined(planted, 'people.id as "owner.id", nick as "owner.nick"')

    assert problem.startswith("sql/people.sql:3:44: error: the column owner.nick can be null, and the annotation")
    assert "PostgreSQL says owner.nick is text, not proved never null where owner is there\n" in problem


@pytest.mark.parametrize(
    "columns", ['owner_id as "owner.id"', '1 as "owner.id"', 'coalesce(people.id, 0) as "owner.id"']
)
def test_a_row_of_which_a_part_is_always_there_is_never_none(planted: Planted, columns: str) -> None:
    error, warning = outer_joined(planted, f'{columns}, people.name as "owner.nick"')

    assert "the column owner.nick can be null" in error
    assert "Pet.owner may be None, and no statement that fills it ever yields null" in warning


def test_a_row_that_a_grouping_set_takes_a_part_of_is_there_in_part(planted: Planted) -> None:
    columns = 'people.id as "owner.id", people.name as "owner.nick"'
    source = f"{OUTER_JOIN} group by grouping sets ((pets.name, people.id, people.name), (pets.name, people.id))"
    row = OPTIONAL.replace("    name: str\n", "    name: str | None\n")

    problems = outer_joined(planted, columns, row, source)

    assert [problem.partition(" error: ")[2].partition(",")[0] for problem in problems] == [
        "the column owner.id can be null",
        "the column owner.nick can be null",
    ]


def test_a_row_that_is_never_missing_is_a_warning(planted: Planted) -> None:
    source = "from pets join people on people.id = owner_id and people.name <> :name"
    optional = OPTIONAL.replace("nick: str", "nick: str | None")

    assert outer_joined(planted, 'nick as "owner.nick", people.id as "owner.id"', optional, source) == [
        "people.py:16:12: warning: Pet.owner may be None, and no statement that fills it ever yields null\n"
        "    owner: Owner | None\n"
        "           ^\n"
        "  Python says     people.py:16:12: Pet.owner: Owner | None\n"
        "  PostgreSQL says owner.id is bigint, never null\n"
        "  To mend it      declare it `Pet.owner: Owner`"
    ]


def test_a_row_that_one_statement_may_miss_may_be_none(planted: Planted) -> None:
    columns = 'people.id as "owner.id", people.name as "owner.nick"'
    inner = OUTER_JOIN.replace("left join", "join")
    listing = f"{PETS}select pets.name, {columns} {OUTER_JOIN};\n"
    finding = f"-- name: find_pet\nselect pets.name, {columns} {inner} where pets.id = 1;\n"
    functions = bound("list_pets, name: str", "list[Pet]", OPTIONAL) + bound("find_pet, name: str", "Pet | None")

    assert planted.problems(listing + finding, functions) == []


def test_a_row_of_two_outer_joins_can_be_there_in_part(planted: Planted) -> None:
    columns = 'people.id as "owner.id", other.name as "owner.nick"'
    source = f"{OUTER_JOIN} left join people as other on other.name = people.nick"

    problems = outer_joined(planted, columns, source=source)

    assert [problem.partition(" error: ")[2].partition(",")[0] for problem in problems] == [
        "the column owner.id can be null",
        "the column owner.nick can be null",
    ]


def test_a_row_of_one_outer_join_of_two_relations_is_none_as_a_whole(planted: Planted) -> None:
    columns = 'people.id as "owner.id", other.name as "owner.nick"'
    source = (
        "from pets left join (people join people as other on other.name = people.nick)"
        " on people.id = owner_id and people.name <> :name"
    )

    assert outer_joined(planted, columns, source=source) == []


OWNER = "create type owner as (id bigint, nick text);"
COMPOSED = "select pets.name, row(people.id, nick)::owner as owner from pets join people on people.id = owner_id"


def test_a_part_of_a_composite_can_be_null(planted: Planted) -> None:
    planted.schema += OWNER

    assert planted.problems(
        f"{PETS}{COMPOSED}", bound("list_pets", "list[Pet]", NESTED.replace("id: int", "id: int | None"))
    ) == [
        "sql/people.sql:3:19: error: owner.nick can be null, as every part of a composite, and the annotation does not"
        " allow None\n"
        "select pets.name, row(people.id, nick)::owner as owner from pets join people on people.id = owner_id\n"
        "                  ^\n"
        "  Python says     people.py:16:12: Pet.owner: Owner\n"
        "  PostgreSQL says owner is owner, never null\n"
        "  To mend it      let it be None, or say `-- check: not null owner.nick, because …`"
    ]


def test_a_part_of_a_composite_that_is_never_null_is_allowed_with_a_reason(planted: Planted) -> None:
    planted.schema += OWNER
    notes = "-- check: not null owner.id, because it is a key\n-- check: not null owner.nick, because of the test\n"

    assert planted.problems(f"{PETS}{notes}{COMPOSED}", bound("list_pets", "list[Pet]", NESTED)) == []


def test_the_parts_of_composites_in_an_array_can_be_null(planted: Planted) -> None:
    planted.schema += OWNER
    sql = "-- name: get_all\nselect array(select row(id, nick)::owner from people where id = :id) as owners"

    problems = planted.problems(sql, bound("get_all, id: int", "list[list[tuple[int, str | None]]]"))

    assert [problem.partition(" error: ")[2].partition(",")[0] for problem in problems] == ["owners.id can be null"]


def test_the_parts_of_a_composite_behind_a_domain_can_be_null(planted: Planted) -> None:
    planted.schema += f"{OWNER} create domain checked_owner as owner check ((value).id > 0);"
    sql = "-- name: get_all\nselect array(select row(id, nick)::checked_owner from people where id = :id) as owners"

    problems = planted.problems(sql, bound("get_all, id: int", "list[list[tuple[int, str | None]]]"))

    assert [problem.partition(" error: ")[2].partition(",")[0] for problem in problems] == ["owners.id can be null"]
