"""Production refuses a login that may do everything."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from app.db import Database
from app.login import refuse_superuser
from app.roles.migrated import login_as
from app.settings import SettingsError
from tests.conftest import SECRET_KEY, settings_for
from tests.pgbouncer import is_in_between
from tests.processes import run, service


@pytest.fixture
def superuser_dsn(database_url: str) -> Iterator[str]:
    """A login that is a superuser on every server of tests."""
    name = f"almighty_{secrets.token_hex(4)}"
    with psycopg.connect(database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("create role {} superuser login password {}").format(sql.Identifier(name), name))
        yield login_as(database_url, name, name)
        admin.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def test_production_does_not_start_as_a_superuser(superuser_dsn: str, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": superuser_dsn, "SECRET_KEY": SECRET_KEY, "PORT": "0", "DB_ALLOW_SUPERUSER": "false"}

    done = run("app", folder=tmp_path, **settings, ENVIRONMENT="production")

    assert done.returncode == 1
    assert "DATABASE_URL: connects as almighty_" in done.stderr
    assert "create a login with the rights that it needs by `python -m app roles`" in done.stderr
    assert "Traceback" not in done.stderr


def test_production_starts_as_the_application(service_dsn: str, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": service_dsn, "SECRET_KEY": SECRET_KEY, "DB_ALLOW_SUPERUSER": "false"}

    with service("serve", folder=tmp_path, **settings, ENVIRONMENT="production") as (_, client):
        assert client.get("/health/ready").status_code == 200


@pytest.mark.parametrize("changes", [{"environment": "development"}, {"db_allow_superuser": True}])
async def test_development_and_a_setting_allow_it(superuser_dsn: str, changes: dict[str, object]) -> None:
    settings = settings_for(superuser_dsn).model_copy(update={"environment": None, **changes})

    async with Database(superuser_dsn, min_size=1, max_size=1, pgbouncer=is_in_between()) as db:
        await refuse_superuser(db, settings)


async def test_unset_means_production(superuser_dsn: str) -> None:
    settings = settings_for(superuser_dsn).model_copy(update={"environment": None})

    async with Database(superuser_dsn, min_size=1, max_size=1, pgbouncer=is_in_between()) as db:
        with pytest.raises(SettingsError, match="a superuser"):
            await refuse_superuser(db, settings)
