"""Parameters that providers hand out, and mistyped ones, work or are refused by an error that says what to write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from app.db import Connection, Database
from tests.db.pools import get_number


def with_query(dsn: str, query: str) -> str:
    return f"{dsn}{'&' if '?' in dsn else '?'}{query}"


@pytest.mark.parametrize(
    "query", ["channel_binding=prefer", "gssencmode=disable&sslcompression=0", "client_encoding=utf8"]
)
async def test_what_changes_nothing_is_left_out(database_url: str, query: str) -> None:
    async with Database(with_query(database_url, query), min_size=1) as db:
        assert await db.fetchval("select 1") == 1


@pytest.mark.parametrize(
    ("query", "mend"),
    [
        ("channel_binding=require", "sslmode=verify-full with sslrootcert=system"),
        ("gssencmode=require", "does not encrypt by GSS"),
        ("target_session_attrs=readwrite", "did you mean read-write"),
        ("target_session_attrs=master", "allowed: any, primary, read-write, read-only, standby, prefer-standby"),
        ("sslrootcert=system&sslmode=prefer", "use sslmode=verify-full"),
        ("pgbouncer=true", r"Database\(pgbouncer=True\)"),
        ("connect_timeout=5", r"Database\(connect_timeout=\)"),
        ("schema=mine", "write options=-csearch_path%3D"),
    ],
)
def test_what_the_driver_cannot_do_is_refused_at_once(database_url: str, query: str, mend: str) -> None:
    with pytest.raises(ValueError, match=mend) as refused:
        Database(with_query(database_url, query))

    assert database_url not in str(refused.value)


async def test_a_mistyped_role_in_the_environment_is_refused(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "primry")

    with pytest.raises(ValueError, match=r"PGTARGETSESSIONATTRS=primry.*did you mean primary"):
        await Database(database_url).connect()


def test_several_hosts_stay_as_they_are() -> None:
    db = Database("postgresql:///x?host=one&host=two&channel_binding=prefer")

    assert db.dsn == "postgresql:///x?host=one&host=two"


async def ask_by_name(tx: Connection) -> None:
    await get_number(tx, number=1)


async def ask_by_raw_sql(tx: Connection) -> None:
    await tx.fetchval("select $1::int", 1)


@pytest.mark.parametrize("ask", [ask_by_name, ask_by_raw_sql])
async def test_a_session_that_has_lost_its_statements_asks_for_a_pgbouncer(
    db: Database, ask: Callable[[Connection], Awaitable[None]]
) -> None:
    with pytest.raises(asyncpg.InvalidSQLStatementNameError) as lost:
        async with db.transaction() as tx:
            await ask(tx)
            await tx.execute("do $$ begin execute 'deal' || 'locate all'; end $$")
            await ask(tx)

    assert any("set DB_PGBOUNCER=true" in note for note in lost.value.__notes__)
