"""Two tenants through a PgBouncer in transaction mode, where the next transaction may be in another one's session."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from app.db import Database
from tests.db.tenancy import at_once, each_sees_its_own, nothing_is_left
from tests.db.tenants import SCHEMA
from tests.debian.conftest import DebianPostgres
from tests.debian.databases import fresh_database
from tests.pgbouncer import bouncing

pytestmark = pytest.mark.debian


@pytest.fixture
async def db(debian_postgres: DebianPostgres) -> AsyncIterator[Database]:
    """A pool through PgBouncer, that logs in as one who is bound by the policies."""
    with fresh_database(debian_postgres.dsn) as direct, psycopg.connect(direct, autocommit=True) as admin:
        admin.execute(f"{SCHEMA}; create role tenant login password 'tenant'; grant all on orders to tenant".encode())
        url = urlsplit(direct)
        as_tenant = urlunsplit(url._replace(netloc=f"tenant:tenant@{url.netloc.rpartition('@')[2]}"))
        try:
            with bouncing(as_tenant) as dsn:
                async with Database(dsn, min_size=2, max_size=10, pgbouncer=True, acquire_timeout=60) as db:
                    yield db
        finally:
            admin.execute("drop owned by tenant; drop role tenant")


@pytest.mark.parametrize("holds", [each_sees_its_own, nothing_is_left, at_once])
async def test_two_tenants_are_kept_apart(db: Database, holds: Callable[[Database], Awaitable[None]]) -> None:
    await holds(db)
