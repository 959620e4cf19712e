"""Settings that hold for one transaction: two tenants never see each other's rows, and nothing needs to be reset."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from app.db import BadArgument, Connection, Database
from tests.db.tenancy import A, at_once, each_sees_its_own, nothing_is_left
from tests.db.tenants import SCHEMA, get_tenant

pytestmark = pytest.mark.one_loop


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A pool that logs in as one who is bound by the policies."""
    role = "tenant_" + urlsplit(database_url).path.removeprefix("/")[-20:]
    admin = await asyncpg.connect(database_url)
    await admin.execute(f"{SCHEMA}; create role {role} login; grant all on orders to {role}")
    url = urlsplit(database_url)
    dsn = urlunsplit(url._replace(netloc=f"{role}@{url.netloc.rpartition('@')[2]}"))
    try:
        async with Database(dsn, min_size=1, max_size=3) as db:
            yield db
    finally:
        await admin.execute(f"drop owned by {role}; drop role {role}")
        await admin.close()


@pytest.mark.parametrize("holds", [each_sees_its_own, nothing_is_left, at_once])
async def test_two_tenants_are_kept_apart(db: Database, holds: Callable[[Database], Awaitable[None]]) -> None:
    await holds(db)


async def test_they_cost_no_reset(db: Database) -> None:
    before = db.statistics().resets
    for _ in range(5):
        async with db.transaction(settings=A) as tx:
            await get_tenant(tx)

    assert db.statistics().resets - before <= 5


@pytest.mark.parametrize("value", ["it's", "back\\slash", "'; drop table orders; --", "E'\\'", 'say "so"', "é\n", ""])
@pytest.mark.parametrize("conforming", ["on", "off"])
async def test_a_value_is_what_it_is(database_url: str, value: str, conforming: str) -> None:
    quoting = {"standard_conforming_strings": conforming, "escape_string_warning": "off"}
    settings = {"app.tenant": value, "app.other": "x"}
    async with (
        Database(database_url, min_size=1, server_settings=quoting) as db,
        db.transaction(settings=settings) as tx,
    ):
        assert await tx.fetchval("select current_setting('app.tenant')") == value
        assert await tx.fetchval("select current_setting('app.other')") == "x"


async def test_settings_of_postgresqls_own_may_be_numbers_and_truth_values(db: Database) -> None:
    settings: dict[str, Any] = {"work_mem": 8192, "enable_seqscan": False, "statement_timeout": "60s", "jit": True}
    async with db.transaction(settings=settings, readonly=True, isolation="serializable") as tx:
        names = ("work_mem", "enable_seqscan", "statement_timeout", "jit", "transaction_isolation")
        found = [await tx.fetchval("select current_setting($1)", name) for name in names]

    assert found == ["8MB", "off", "1min", "on", "serializable"]


@pytest.mark.parametrize("name", ["", "app.", ".tenant", "app tenant", "app.'tenant'", "app.tenant; drop", "é", "1.x"])
async def test_what_is_no_name_is_refused_before_anything_is_sent(db: Database, name: str) -> None:
    with pytest.raises(ValueError, match=r"is no name of a setting: write it as `app\.tenant` or `work_mem`"):
        db.transaction(settings={name: "x"})
    with pytest.raises(ValueError, match="is no name of a setting"):
        db.with_settings({name: "x"})


@pytest.mark.parametrize(("value", "problem"), [("a\0b", "has a NUL character"), (None, "takes text or a number")])
async def test_what_is_no_value_is_refused(db: Database, value: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=rf"the setting app\.tenant {problem}"):
        db.transaction(settings={"app.tenant": value})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"no_such_setting": "x"}, 'unrecognized configuration parameter "no_such_setting"'),
        ({"work_mem": "much"}, 'invalid value for parameter "work_mem": "much"'),
        ({"log_statement": "none"}, 'permission denied to set parameter "log_statement"'),
        ({"max_connections": 5}, 'parameter "max_connections" cannot be changed without restarting the server'),
    ],
)
async def test_what_postgresql_refuses_is_told_and_harms_nothing(
    db: Database, settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadArgument) as refused:
        async with db.transaction(settings=settings):
            pytest.fail("the block must not run")

    assert str(refused.value) == f"transaction(settings=...): {problem}"
    await nothing_is_left(db)


async def test_a_savepoint_takes_none(db: Database) -> None:
    async def nested(tx: Connection) -> None:
        async with tx.transaction(settings=A):
            pass

    with pytest.raises(ValueError, match="takes no isolation, readonly, deferrable or settings"):
        await db.run(nested)
