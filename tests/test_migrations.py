from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from app.migration_backend import LOCK_KEY, backend_for
from app.migrations import (
    MIGRATIONS,
    MigrationError,
    apply_migrations,
    list_migrations,
    migration_ids,
    new_migration,
    rollback_migrations,
)
from tests.databases import TemplateDatabase
from tests.processes import ROOT, run, started

SCHEMA = """
select 'column', table_name, column_name, format('%s %s %s %s', data_type, is_nullable, column_default, collation_name)
from information_schema.columns where table_schema = 'public'
union all
select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
from pg_constraint where connamespace = 'public'::regnamespace
union all
select 'index', tablename, indexname, indexdef from pg_indexes where schemaname = 'public'
union all
select 'function', proname, '', pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
union all
select 'view', viewname, '', definition from pg_views where schemaname = 'public'
order by 1, 2, 3, 4
"""


@pytest.fixture
def empty_database(server_dsn: str) -> Iterator[str]:
    """The DSN of a database with nothing in it."""
    with psycopg.connect(server_dsn, autocommit=True) as server:
        database = TemplateDatabase(server, server_dsn)
        database.create()
        try:
            yield database.dsn
        finally:
            database.drop()


def schema(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return [row for row in connection.execute(SCHEMA) if "yoyo" not in str(row[1])]


def applied(dsn: str, folder: Path = MIGRATIONS) -> list[str]:
    return [state.id for state in list_migrations(dsn, folder) if state.applied]


def write(folder: Path, name: str, text: str, rollback: str | None = None) -> None:
    (folder / f"{name}.sql").write_text(text)
    if rollback is not None:
        (folder / f"{name}.rollback.sql").write_text(rollback)


def test_every_migration_has_a_rollback() -> None:
    assert [id_ for id_ in migration_ids() if not (MIGRATIONS / f"{id_}.rollback.sql").exists()] == []


def test_migrations_have_numbers_of_their_own_and_depend_on_earlier_ones() -> None:
    ids = migration_ids()
    numbers = [id_[:4] for id_ in ids]

    assert all(number.isdecimal() for number in numbers)
    assert len(set(numbers)) == len(numbers)
    for id_ in ids:
        [line] = re.findall(r"^-- depends:(.*)$", (MIGRATIONS / f"{id_}.sql").read_text(), re.MULTILINE)
        assert all(before in ids and before < id_ for before in line.split()), id_


def test_up_and_down_and_up_again_gives_the_same_schema(empty_database: str) -> None:
    assert schema(empty_database) == []

    assert apply_migrations(empty_database) == migration_ids()
    first = schema(empty_database)
    assert rollback_migrations(empty_database, "all") == migration_ids()[::-1]
    assert schema(empty_database) == []
    apply_migrations(empty_database)

    assert any("commit_tokens" in line for line in first)
    assert schema(empty_database) == first


def test_each_rollback_undoes_exactly_its_own_migration(empty_database: str, tmp_path: Path) -> None:
    schemas = [schema(empty_database)]
    for id_ in migration_ids():
        for suffix in (".sql", ".rollback.sql"):
            (tmp_path / (id_ + suffix)).write_bytes((MIGRATIONS / (id_ + suffix)).read_bytes())
        assert apply_migrations(empty_database, tmp_path) == [id_]
        schemas.append(schema(empty_database))

    for before in schemas[-2::-1]:
        rollback_migrations(empty_database)
        assert schema(empty_database) == before


def test_applying_twice_is_applying_once(empty_database: str) -> None:
    apply_migrations(empty_database)

    assert apply_migrations(empty_database) == []


def test_the_state_names_each_migration_and_when_it_came(empty_database: str) -> None:
    assert {state.applied_at for state in list_migrations(empty_database)} == {None}

    apply_migrations(empty_database)
    rollback_migrations(empty_database)
    states = list_migrations(empty_database)

    assert [state.id for state in states] == migration_ids()
    assert [state.applied for state in states] == [True] * (len(states) - 1) + [False]
    for state in states[:-1]:
        assert state.applied_at is not None
        assert abs(datetime.now(UTC) - state.applied_at) < timedelta(hours=1)


def test_asking_for_the_state_writes_nothing(empty_database: str) -> None:
    list_migrations(empty_database)

    with psycopg.connect(empty_database) as connection:
        assert connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (0,)


def test_a_migration_whose_file_is_gone_is_still_shown(empty_database: str, tmp_path: Path) -> None:
    write(tmp_path, "0001.a", "create table a ()")
    apply_migrations(empty_database, tmp_path)
    (tmp_path / "0001.a.sql").unlink()

    assert applied(empty_database, tmp_path) == ["0001.a"]


def test_a_migration_that_fails_leaves_nothing_and_those_before_it_stay(empty_database: str, tmp_path: Path) -> None:
    write(tmp_path, "0001.a", "create table a ()")
    write(tmp_path, "0002.b", "-- depends: 0001.a\ncreate table b ();\n\n-- why\ncreate table c (\n    x nope\n);\n")

    with pytest.raises(MigrationError) as caught:
        apply_migrations(empty_database, tmp_path)

    assert str(caught.value) == '0002.b.sql, line 6: type "nope" does not exist'
    assert {row[1] for row in schema(empty_database)} <= {"a"}
    assert applied(empty_database, tmp_path) == ["0001.a"]


def test_a_rollback_that_fails_leaves_everything(empty_database: str, tmp_path: Path) -> None:
    write(tmp_path, "0001.a", "create table a (x int)", "alter table a drop column x;\ndrop table nope;\n")
    apply_migrations(empty_database, tmp_path)
    before = schema(empty_database)

    with pytest.raises(MigrationError, match=r'^0001\.a\.rollback\.sql, line 2: table "nope" does not exist$'):
        rollback_migrations(empty_database, folder=tmp_path)

    assert schema(empty_database) == before
    assert applied(empty_database, tmp_path) == ["0001.a"]


@pytest.mark.parametrize("rollback", [None, "-- later\n"])
def test_a_migration_without_a_rollback_is_not_forgotten(
    empty_database: str, tmp_path: Path, rollback: str | None
) -> None:
    write(tmp_path, "0001.a", "create table a ()", rollback)
    apply_migrations(empty_database, tmp_path)

    with pytest.raises(MigrationError, match=r"^0001\.a\.rollback\.sql is missing or holds no statement"):
        rollback_migrations(empty_database, folder=tmp_path)
    assert applied(empty_database, tmp_path) == ["0001.a"]


def test_an_index_can_be_built_outside_a_transaction(empty_database: str, tmp_path: Path) -> None:
    text = "-- transactional: false\ncreate table a (x int);\ncreate index concurrently a_x_idx on a (x);\n"
    write(tmp_path, "0001.a", text, "drop table a;\n")

    assert apply_migrations(empty_database, tmp_path) == ["0001.a"]
    assert any(row[2] == "a_x_idx" for row in schema(empty_database))
    assert rollback_migrations(empty_database, folder=tmp_path) == ["0001.a"]
    assert schema(empty_database) == []


def test_an_unknown_dependency_is_named(empty_database: str, tmp_path: Path) -> None:
    write(tmp_path, "0001.a", "-- depends: 0000.nothing\nselect 1")

    with pytest.raises(MigrationError, match=r"0001\.a\.sql"):
        apply_migrations(empty_database, tmp_path)


def test_a_database_that_is_not_there_is_named_without_the_password() -> None:
    with pytest.raises(MigrationError) as caught:
        apply_migrations("postgresql://ann:s3same@127.0.0.1:1,127.0.0.1:2/db")

    message = str(caught.value)
    assert message.startswith("the database cannot be reached: connection to server")
    assert "port 1 " in message
    assert "port 2 " in message
    assert "s3same" not in message


def test_two_processes_at_once_apply_each_migration_once(empty_database: str) -> None:
    command = [sys.executable, "-m", "app", "migrate"]
    with ExitStack() as stack:
        gate = stack.enter_context(psycopg.connect(empty_database, autocommit=True))
        gate.execute("select pg_advisory_lock(%s)", [LOCK_KEY])
        both = [
            stack.enter_context(started(command, folder=ROOT, DATABASE_URL=empty_database, PORT="0")) for _ in range(2)
        ]
        wait_for_migrators(gate, 2)
        assert applied(empty_database) == []
        gate.execute("select pg_advisory_unlock(%s)", [LOCK_KEY])

        ends = [(process.communicate(timeout=60), process.returncode) for process in both]

    assert [code for _, code in ends] == [0, 0], ends
    assert applied(empty_database) == migration_ids()
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("select count(*) from _yoyo_log").fetchone() == (len(migration_ids()),)


def wait_for_migrators(connection: psycopg.Connection, count: int) -> None:
    asked = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and application_name = 'bindery migrations'"
    )
    for _ in range(600):
        if connection.execute(asked).fetchone() == (count,):
            return
        time.sleep(0.1)
    raise AssertionError("the migrators never connected")


def test_a_migrator_that_waits_too_long_says_for_what(empty_database: str) -> None:
    with backend_for(empty_database) as first, first.lock(), backend_for(empty_database) as second:
        with pytest.raises(MigrationError, match="another process is migrating this database"), second.lock(timeout=0):
            pass
        with first.lock():
            """The holder may ask again."""

    with backend_for(empty_database) as third, third.lock(timeout=0):
        """It is free again."""


def test_a_migrator_that_died_keeps_nobody_out(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as dying:
        dying.execute("select pg_advisory_lock(%s)", [LOCK_KEY])

    assert apply_migrations(empty_database) == migration_ids()


def test_a_new_migration_continues_the_numbers(empty_database: str, tmp_path: Path) -> None:
    write(tmp_path, "0009.a", "select 1;\n", "select 1;\n")

    forward, rollback = new_migration("Add a language!\n", tmp_path)

    assert forward.name == "0010.add-a-language.sql"
    assert rollback.name == "0010.add-a-language.rollback.sql"
    assert forward.read_text() == "-- Add a language!\n-- depends: 0009.a\n\n"
    forward.write_text(forward.read_text() + "create table a ();\n")
    rollback.write_text(rollback.read_text() + "drop table a;\n")
    assert apply_migrations(empty_database, tmp_path) == ["0009.a", forward.stem]
    assert rollback_migrations(empty_database, "all", tmp_path) == [forward.stem, "0009.a"]


def test_the_first_migration_depends_on_none(tmp_path: Path) -> None:
    forward, _ = new_migration("begin", tmp_path)

    assert forward.name == "0001.begin.sql"
    assert forward.read_text().splitlines()[:2] == ["-- begin", "-- depends:"]


def test_a_migration_needs_a_title(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="needs a title"):
        new_migration(" !? ", tmp_path)
    assert list(tmp_path.iterdir()) == []


def yoyo(command: str, dsn: str) -> tuple[int, str, str]:
    done = run("yoyo", command, folder=ROOT, DATABASE_URL=dsn, PYTHONWARNINGS="default")
    return done.returncode, done.stdout, done.stderr


def test_the_yoyo_command_line_works_on_the_database_of_the_settings(empty_database: str) -> None:
    asyncpg_url = empty_database.replace("postgresql://", "postgres+asyncpg://")

    assert yoyo("apply", asyncpg_url)[0] == 0
    assert applied(empty_database) == migration_ids()
    assert yoyo("rollback", asyncpg_url)[0] == 0
    code, listed, _ = yoyo("list", asyncpg_url)

    assert code == 0
    assert [line[0] for line in listed.splitlines()[2:]] == ["A"] * (len(migration_ids()) - 1) + ["U"]
    assert applied(empty_database) == migration_ids()[:-1]


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgresql://ann:s3same@127.0.0.1:1/db", "the database cannot be reached: connection to server at"),
        ("mysql://ann:s3same@db/db", "DATABASE_URL: does not start with a scheme of PostgreSQL"),
    ],
)
def test_the_yoyo_command_line_fails_in_one_line(url: str, complaint: str) -> None:
    code, _, errors = yoyo("list", url)

    assert code == 1
    assert errors.startswith(complaint)
    assert len(errors.splitlines()) == 1
    assert "s3same" not in errors
