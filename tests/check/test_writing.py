from click.testing import CliRunner

from app.check.command import check_command
from tests.check.planting import Planted


def written(planted: Planted, name: str, sql: str) -> str:
    """What `--describe` prints for a statement that no function is bound to."""
    planted.write(f"-- name: {name}\n{sql}", "")
    result = CliRunner().invoke(check_command(planted.project), ["--describe", f"people.{name}"])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_row_becomes_a_dataclass_with_its_nested_rows(planted: Planted) -> None:
    sql = (
        '-- Who has which pet.\nselect pets.id, pets.name, people.joined_on, people.id as "owner.id",'
        ' people.nick as "owner.nick"\nfrom pets join people on people.id = owner_id where pets.name = :name'
    )

    assert written(planted, "list_pets_by_name", sql) == (
        "from dataclasses import dataclass\n"
        "from datetime import date\n"
        "from app.db import Executor\n"
        "\n\n"
        "@dataclass(frozen=True, slots=True)\n"
        "class Owner:\n"
        '    """…"""\n'
        "\n"
        "    id: int\n"
        "    nick: str | None\n"
        "\n\n"
        "@dataclass(frozen=True, slots=True)\n"
        "class Pet:\n"
        '    """…"""\n'
        "\n"
        "    id: int\n"
        "    name: str\n"
        "    joined_on: date\n"
        "    owner: Owner\n"
        "\n\n"
        "@queries.bind\n"
        "async def list_pets_by_name(db: Executor, *, name: str) -> list[Pet]:\n"
        '    """Who has which pet."""\n'
        "    ...\n"
    )


def test_an_enum_becomes_a_str_enum(planted: Planted) -> None:
    planted.schema += "create type mood as enum ('happy', 'so-so'); alter table pets add column mood mood;"

    assert written(planted, "find_mood", "select mood from pets where id = :id and mood <> all (:moods)") == (
        "from enum import StrEnum\n"
        "from app.db import Executor\n"
        "\n\n"
        "class Mood(StrEnum):\n"
        '    """…"""\n'
        "\n"
        '    HAPPY = "happy"\n'
        '    SO_SO = "so-so"\n'
        "\n\n"
        "@queries.bind\n"
        "async def find_mood(db: Executor, *, id: int, moods: list[Mood]) -> Mood | None:\n"
        '    """…"""\n'
        "    ...\n"
    )


def test_what_a_statement_expects_to_be_null_may_be_none(planted: Planted) -> None:
    sql = "update people set nick = coalesce(:nick, nick) where id = :id"

    assert "async def rename(db: Executor, *, nick: str | None, id: int) -> None:" in written(planted, "rename", sql)


def test_finding_may_find_nothing(planted: Planted) -> None:
    sql = "select id, name from people where id = :id"

    assert "async def find_person(db: Executor, *, id: int) -> Person | None:" in written(planted, "find_person", sql)


def test_a_row_that_an_outer_join_may_miss_is_written_as_one(planted: Planted) -> None:
    columns = 'pets.id, people.id as "owner.id", people.nick as "owner.nick"'
    sql = f"select {columns} from pets left join people on people.id = owner_id and people.name = :name"

    text = written(planted, "list_pets", sql)

    assert "class Owner:\n" in text
    assert "    id: int\n    nick: str | None\n" in text
    assert "    owner: Owner | None\n" in text


def test_a_stream_is_written_as_one(planted: Planted) -> None:
    text = written(planted, "stream_names", "select name from people where id > :after order by id")

    assert "def stream_names(db: Executor, *, after: int) -> AbstractAsyncContextManager[AsyncIterator[str]]:" in text
    assert "async def" not in text
    assert "from collections.abc import AsyncIterator\nfrom contextlib import AbstractAsyncContextManager\n" in text
