from dataclasses import replace

import pytest

from app.db import Database, DatabaseUnavailable
from tests.databases import replace_database
from tests.debian.conftest import DebianPostgres

pytestmark = pytest.mark.debian


async def refusal(dsn: str) -> str:
    with pytest.raises(DatabaseUnavailable) as error:
        await Database(dsn).connect()
    return str(error.value)


async def test_a_wrong_password_is_told_as_such_without_any_password(debian_postgres: DebianPostgres) -> None:
    told = await refusal(replace(debian_postgres, password="hunter2").dsn)

    server = f"localhost:{debian_postgres.port}/postgres as postgres"
    reason = 'password authentication failed for user "postgres"'
    assert told == f"PostgreSQL at {server} refuses the login ({reason}); check the user and the password"


async def test_an_unknown_user_is_told_like_a_wrong_password(debian_postgres: DebianPostgres) -> None:
    told = await refusal(replace(debian_postgres, user="nobody").dsn)

    assert 'refuses the login (password authentication failed for user "nobody")' in told
    assert debian_postgres.password not in told


async def test_an_unknown_database_is_told_with_its_name(debian_postgres: DebianPostgres) -> None:
    told = await refusal(replace_database(debian_postgres.dsn, "nothing"))

    assert 'has no such database (database "nothing" does not exist); create it with createdb' in told
    assert debian_postgres.password not in told


async def test_the_right_password_connects(debian_postgres: DebianPostgres) -> None:
    async with Database(debian_postgres.dsn, min_size=1) as db:
        assert await db.fetchval("select current_user") == "postgres"
