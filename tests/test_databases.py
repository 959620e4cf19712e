"""The databases of the tests themselves."""

from __future__ import annotations

import asyncpg
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.databases import TemplateDatabase, refuse_unless_test_database, replace_database


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://localhost/shop",
        "postgresql://localhost/",
        "postgresql://localhost/my_test_data",
        "postgresql://localhost/x_test?dbname=conduit",
        "postgresql://shop_test@localhost/shop",
    ],
)
def test_a_database_that_is_not_for_tests_is_refused(dsn: str) -> None:
    with pytest.raises(ValueError, match="ends in _test"):
        refuse_unless_test_database(dsn)


def test_a_database_for_tests_is_taken() -> None:
    refuse_unless_test_database("postgresql://ann@localhost:5433/shop_test?sslmode=require")


def test_another_database_keeps_the_rest_of_the_address() -> None:
    dsn = replace_database("postgresql://ann:p%40ss@h1:1,h2:2/shop_test?sslmode=require", "a/b")

    assert dsn == "postgresql://ann:p%40ss@h1:1,h2:2/a%2Fb?sslmode=require"


async def test_a_copy_is_migrated_and_nobody_elses(template_database: TemplateDatabase) -> None:
    with template_database.copy() as first, template_database.copy() as second:
        one, other = await asyncpg.connect(first), await asyncpg.connect(second)
        await one.execute("insert into commit_tokens (token) values (gen_random_uuid())")
        counts = [await connection.fetchval("select count(*) from commit_tokens") for connection in (one, other)]
        await one.close()
        await other.close()

    assert counts == [1, 0]


def exists(server_dsn: str, dsn: str) -> bool:
    """Whether the server has the database that `dsn` names."""
    with psycopg.connect(server_dsn) as server:
        found = server.execute("select from pg_database where datname = %s", [conninfo_to_dict(dsn)["dbname"]])
        return found.fetchone() is not None


def test_a_copy_is_dropped_also_when_somebody_is_connected(
    template_database: TemplateDatabase, server_dsn: str
) -> None:
    with template_database.copy() as dsn:
        connection = psycopg.connect(dsn)
        assert exists(server_dsn, dsn)

    assert not exists(server_dsn, dsn)
    connection.close()


def test_a_copy_is_dropped_also_when_its_test_fails(template_database: TemplateDatabase, server_dsn: str) -> None:
    with pytest.raises(ZeroDivisionError), template_database.copy() as dsn:
        raise ZeroDivisionError

    assert not exists(server_dsn, dsn)


def test_nobody_connects_to_the_template(template_database: TemplateDatabase) -> None:
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        psycopg.connect(template_database.dsn)
