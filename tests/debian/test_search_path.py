"""A schema for each tenant, on PostgreSQL 15 and through a PgBouncer: the same as on 18."""

from __future__ import annotations

import pytest

from app.db import Database
from tests.db.conftest import write_queries
from tests.db.test_search_path import *  # noqa: F403 - the same tests on another server
from tests.db.test_search_path import TENANTS, Orders, create_tenants, enter_by_run, enter_by_settings
from tests.debian.databases import direct_url
from tests.pgbouncer import bouncing

__all__ = ["direct_url", "write_queries"]
pytestmark = pytest.mark.debian


async def test_a_pgbouncer_lends_one_session_to_both(database_url: str, orders: Orders) -> None:
    with bouncing(database_url) as dsn:
        async with Database(dsn, min_size=1, max_size=1, pgbouncer=True) as db:
            await create_tenants(db)
            for number, enter in enumerate((enter_by_settings, enter_by_run, enter_by_settings), start=1):
                for tenant in TENANTS:
                    await enter(db, orders, tenant, number)
