"""The locks of Idempotency-Keys behind a PgBouncer in transaction mode, and on PostgreSQL 15."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from app.db import Database
from app.migrations import apply_migrations
from app.repositories import idempotency
from tests.db.pools import pool
from tests.debian.conftest import DebianPostgres
from tests.debian.databases import fresh_database
from tests.pgbouncer import bouncing

pytestmark = pytest.mark.debian
CLIENTS = 20


@pytest.fixture
def direct(debian_postgres: DebianPostgres) -> Iterator[str]:
    """The way past PgBouncer."""
    with fresh_database(debian_postgres.dsn) as dsn:
        apply_migrations(dsn)
        yield dsn


@pytest.fixture
async def db(direct: str) -> AsyncIterator[Database]:
    """The way through PgBouncer."""
    with bouncing(direct) as bounced:
        async with pool(bounced, min_size=2, max_size=10, pgbouncer=True, acquire_timeout=60) as db:
            yield db


async def _write_once(db: Database, key: str) -> bool:
    async with db.transaction(isolation="read_committed") as tx:
        if not await idempotency.try_lock(tx, user_id=1, key=key):
            return False
        if await idempotency.find_answer(tx, user_id=1, key=key):
            return False
        await idempotency.create_answer(
            tx, user_id=1, key=key, fingerprint=b"x" * 32, status=201, headers="", body=key.encode()
        )
        return True


async def test_a_key_is_written_once_and_its_lock_ends_with_the_transaction(db: Database, direct: str) -> None:
    keys = [f"key-{number}" for number in range(5)]
    written = await asyncio.gather(*(_write_once(db, key) for key in keys for _ in range(CLIENTS)))

    assert written.count(True) == len(keys)
    with psycopg.connect(direct) as server:
        count = "select (select count(*) from idempotency_keys), (select count(*) from pg_locks where locktype = %s)"
        assert server.execute(count, ["advisory"]).fetchone() == (len(keys), 0)
