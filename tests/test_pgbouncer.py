"""With POSTGRES_THROUGH=pgbouncer services reach their databases through a PgBouncer, and without it directly."""

from __future__ import annotations

import psycopg
import pytest

from app.settings import Settings
from tests.pgbouncer import VARIABLE, is_in_between


def is_pgbouncer(dsn: str) -> bool:
    """Whether the address refuses what PostgreSQL takes from everybody, and PgBouncer from nobody."""
    try:
        psycopg.connect(dsn, options="-c jit=off").close()
    except psycopg.OperationalError as error:
        assert "unsupported startup parameter" in str(error)
        return True
    return False


def test_the_way_to_the_database_is_the_one_that_was_asked_for(
    database_url: str, direct_url: str, service_dsn: str, settings: Settings
) -> None:
    asked = is_in_between()

    assert not is_pgbouncer(direct_url)
    assert is_pgbouncer(database_url) == is_pgbouncer(service_dsn) == is_pgbouncer(settings.database_dsn) == asked
    assert settings.db_pgbouncer == asked


def test_a_way_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "pgpool")
    with pytest.raises(ValueError, match="POSTGRES_THROUGH must be pgbouncer or nothing, not 'pgpool'"):
        is_in_between()
