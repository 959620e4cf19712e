"""`python -m app roles`, and what migrations give the application."""

from __future__ import annotations

import stat
from pathlib import Path

import psycopg
import pytest

from app.roles.migrated import acting_as, login_as, names_of_login, user_of
from app.roles.names import RoleNames
from tests.databases import replace_database
from tests.processes import run
from tests.roles.conftest import Roles


@pytest.fixture
def arguments(roles: Roles) -> list[str]:
    return ["app", "roles", "--prefix", roles.names.prefix]


def test_the_first_run_migrates_and_shows_four_addresses_and_the_second_changes_nothing(
    roles: Roles, arguments: list[str], tmp_path: Path
) -> None:
    first = run(*arguments, "--migrate", folder=tmp_path, DATABASE_URL=roles.dsn)
    second = run(*arguments, folder=tmp_path, DATABASE_URL=roles.dsn)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    urls = [line.strip() for line in first.stdout.splitlines() if line.startswith("  postgresql://")]
    assert [user_of(url) for url in urls] == [
        roles.names.of(kind) for kind in ("owner", "application", "reader", "monitor")
    ]
    with psycopg.connect(urls[1]) as application:
        application.execute("select migration_id from _yoyo_migration")
    assert "Nothing to change: all is right." in second.stdout
    assert "postgresql://" not in second.stdout


def test_before_the_migrations_it_says_which_statements_do_not_fit(
    roles: Roles, arguments: list[str], tmp_path: Path
) -> None:
    run("app", "migrate", "rollback", "--all", folder=tmp_path, DATABASE_URL=roles.dsn)

    done = run(*arguments, folder=tmp_path, DATABASE_URL=roles.dsn)

    assert done.returncode == 1
    assert "do not fit the database, so that their rights are not known" in done.stderr
    assert "or add --migrate" in done.stderr


def test_rotation_writes_the_password_to_a_file_that_only_its_owner_reads(
    roles: Roles, arguments: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "password"
    run(*arguments, folder=tmp_path, DATABASE_URL=roles.dsn)

    rotate = ["--rotate", "application", "--password-file", str(file)]
    done = run(*arguments, *rotate, folder=tmp_path, DATABASE_URL=roles.dsn)

    password = file.read_text().strip()
    assert len(password) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert password not in done.stdout
    assert f"The new password of {roles.names.application} is in {file}" in done.stdout


def test_a_password_of_the_environment_is_not_shown_and_no_other_is_made(
    roles: Roles, arguments: list[str], tmp_path: Path
) -> None:
    given = ["--password", "application=SHOP_PASSWORD"]
    done = run(*arguments, *given, folder=tmp_path, DATABASE_URL=roles.dsn, SHOP_PASSWORD="opens-and-shuts")

    assert done.returncode == 0, done.stderr
    assert "opens-and-shuts" not in done.stdout
    assert "postgresql://" not in done.stdout


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--password", "application=UNSET"], "with a role of owner, application, reader, monitor"),
        (["--password", "nobody=HOME"], "with a role of owner, application, reader, monitor"),
        (["--dry-run", "--migrate"], "--dry-run changes nothing"),
        (["--rotate", "nobody"], "'nobody' is not one of 'owner', 'application', 'reader', 'monitor'"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], tmp_path: Path, more: list[str], told: str) -> None:
    done = run(*arguments, *more, folder=tmp_path, DATABASE_URL="postgresql://127.0.0.1:1/x")

    assert done.returncode == 2
    assert told in done.stderr


def test_a_database_that_is_not_there_is_told(server_dsn: str, tmp_path: Path) -> None:
    done = run("app", "roles", folder=tmp_path, DATABASE_URL=replace_database(server_dsn, "no_such_database"))

    assert done.returncode == 1
    assert "has no such database" in done.stderr
    assert "Traceback" not in done.stderr


async def test_a_migration_ends_by_giving_the_application_what_the_release_needs(roles: Roles, tmp_path: Path) -> None:
    await roles.set_up("select 1")
    logins = {"DATABASE_URL": roles.login("application"), "MIGRATION_DATABASE_URL": roles.login("owner")}

    first, second = (run("app", "migrate", folder=tmp_path, **logins) for _ in range(2))

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "grant select (migration_id) on table public._yoyo_migration to" in first.stdout
    assert "grant" not in second.stdout
    assert await roles.refusal("application", "select migration_id from _yoyo_migration") == ""


async def test_other_logins_than_those_of_the_roles_get_nothing(roles: Roles, tmp_path: Path) -> None:
    await roles.set_up("select 1")
    logins = {"DATABASE_URL": roles.login("application"), "MIGRATION_DATABASE_URL": roles.dsn}

    done = run("app", "migrate", folder=tmp_path, **logins)

    assert (done.returncode, "grant" in done.stdout) == (0, False)


def test_an_address_gets_another_login_and_a_role_to_act_as() -> None:
    assert login_as("postgresql://a:b@db:5432/x?sslmode=require", "c d", "e/f") == (
        "postgresql://c%20d:e%2Ff@db:5432/x?sslmode=require"
    )
    assert acting_as("postgresql://db/x?options=-c%20a%3Db", "my owner") == (
        "postgresql://db/x?options=-c%20a%3Db%20-c%20role%3Dmy%5C%20owner"
    )
    assert names_of_login("shop_application") == RoleNames("shop")
    assert names_of_login("shop") is None
    assert names_of_login("_application") is None
