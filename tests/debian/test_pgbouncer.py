"""Through a PgBouncer in transaction mode, with one setting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from app.db import Database, DatabaseUnavailable, SessionStateRefused, StatementTimeout
from app.migrations import apply_migrations
from tests.db.pools import add_note, get_number, get_pid, list_series, pool, set_lock_timeout, sleep, update_notes
from tests.debian.conftest import DebianPostgres
from tests.debian.databases import fresh_database
from tests.pgbouncer import SERVER_CONNECTIONS, bouncing

pytestmark = pytest.mark.debian


@pytest.fixture
def direct(debian_postgres: DebianPostgres) -> Iterator[str]:
    """The way past PgBouncer."""
    with fresh_database(debian_postgres.dsn) as dsn:
        yield dsn


@pytest.fixture
def bounced(direct: str) -> Iterator[str]:
    """The way through PgBouncer."""
    with bouncing(direct) as dsn:
        yield dsn


@pytest.fixture
async def db(direct: str, bounced: str) -> AsyncIterator[Database]:
    """A pool with more connections than PgBouncer has."""
    with psycopg.connect(direct, autocommit=True) as server:
        server.execute("create table notes (body text)")
    settings: dict[str, Any] = {"server_settings": {"jit": "off", "plan_cache_mode": "force_generic_plan"}}
    async with pool(bounced, min_size=2, max_size=10, pgbouncer=True, acquire_timeout=60, **settings) as db:
        yield db


async def test_many_statements_share_few_sessions(db: Database) -> None:
    results = await asyncio.gather(
        *(get_number(db, number=number) for number in range(100)),
        *(list_series(db, number=3) for _ in range(100)),
        *(db.fetchval("select $1::int + $2::int", number, 1) for number in range(100)),
        *(get_pid(db) for _ in range(100)),
    )

    assert results[:100] == list(range(100))
    assert results[100:200] == [[1, 2, 3]] * 100
    assert results[200:300] == list(range(1, 101))
    assert 1 <= len(set(map(str, results[300:]))) <= SERVER_CONNECTIONS
    assert db.statistics().size > SERVER_CONNECTIONS


async def test_types_of_ones_own_come_and_go(db: Database, direct: str) -> None:
    with psycopg.connect(direct, autocommit=True) as server:
        server.execute("create type mood as enum ('good', 'bad'); create type pair as (mood mood, number int)")

    async def ask(number: int) -> tuple[object, ...]:
        record = await db.fetchrow(
            "select $1::mood as mood, ($1::mood, $2::int)::pair as pair, $3::jsonb as data, $4::mood[] as moods",
            "good",
            number,
            {"number": number},
            ["bad"],
        )
        assert record is not None
        return record["mood"], tuple(record["pair"]), record["data"], record["moods"]

    answers = await asyncio.gather(*(ask(number) for number in range(40)))

    assert answers == [("good", ("good", number), {"number": number}, ["bad"]) for number in range(40)]


async def test_transactions_and_savepoints_hold(db: Database) -> None:
    async def write(number: int) -> None:
        async with db.transaction() as tx:
            await add_note(tx, body=f"kept {number}")
            with pytest.raises(LookupError):
                async with tx.transaction():
                    await add_note(tx, body=f"undone {number}")
                    raise LookupError
            assert await get_number(tx, number=number) == number
            await asyncio.sleep(0)

    await asyncio.gather(*(write(number) for number in range(30)))
    with pytest.raises(LookupError):
        async with db.transaction() as tx:
            await add_note(tx, body="undone")
            raise LookupError

    bodies = await db.fetch("select body from notes")
    assert {record["body"] for record in bodies} == {f"kept {number}" for number in range(30)}
    assert await update_notes(db, body="changed") == 30


async def test_settings_hold_in_every_transaction_and_nowhere_else(db: Database, bounced: str) -> None:
    asked = "select current_setting('jit') || ' ' || current_setting('statement_timeout')"
    values = await asyncio.gather(*(db.fetchval(asked) for _ in range(20)))
    async with db.transaction() as tx:
        values.append(await tx.fetchval(asked))

    assert set(values) == {"off 30s"}
    for _ in range(4):
        with psycopg.connect(bounced, autocommit=True) as other:
            assert other.execute(asked).fetchone() == ("on 0",)


async def test_a_statement_that_takes_too_long_is_stopped(bounced: str) -> None:
    async with pool(bounced, pgbouncer=True, statement_timeout=1.0) as db:
        with pytest.raises(StatementTimeout, match="statement timeout"):
            await sleep(db, seconds=60)
        with pytest.raises(StatementTimeout, match="statement timeout"):
            await db.fetchval("select pg_sleep(60)")
        assert await get_number(db, number=1) == 1


async def test_raw_sql_without_arguments_has_the_settings_as_well(db: Database, direct: str, bounced: str) -> None:
    asked = "insert into notes values (current_setting('jit') || ' ' || current_setting('statement_timeout'))"
    assert await db.execute(asked) == "INSERT 0 1"
    assert await db.execute(f"{asked}; {asked};") == "INSERT 0 1"
    async with db.acquire() as connection:
        await connection.execute("begin isolation level serializable")
        await connection.execute(asked)
        await connection.execute("commit")
    assert [body for (body,) in await db.fetch("select body from notes")] == ["off 30s"] * 4
    async with pool(bounced, pgbouncer=True, statement_timeout=1.0) as impatient:
        with pytest.raises(StatementTimeout, match="statement timeout"):
            await impatient.execute("select pg_sleep(60)")
        assert await get_number(impatient, number=1) == 1


async def test_an_error_in_raw_sql_points_into_that(db: Database) -> None:
    for sql in ("select nope", "select 1; select nope from notes", "select 1 frm notes x"):
        with pytest.raises(asyncpg.PostgresError) as refusal:
            await db.execute(sql)
        with pytest.raises(asyncpg.PostgresError) as same:
            async with db.transaction() as tx:
                await tx.execute(sql)
        assert (refusal.value.position, str(refusal.value)) == (same.value.position, str(same.value))
        assert refusal.value.position is not None


async def test_what_refuses_a_transaction_runs_without_the_settings(db: Database, direct: str) -> None:
    with psycopg.connect(direct, autocommit=True) as server:
        server.execute(
            "create procedure add_notes() language plpgsql as $$ begin"
            " insert into notes values (current_setting('jit')); commit; insert into notes values ('second'); end $$"
        )
    assert await db.execute("vacuum notes;") == "VACUUM"
    assert await db.execute("create index concurrently notes_body_idx on notes (body)") == "CREATE INDEX"
    assert await db.execute("call add_notes()") == "CALL"
    await db.execute("do $$ begin insert into notes values ('third'); commit; end $$")
    assert [body for (body,) in await db.fetch("select body from notes")] == ["on", "second", "third"]
    async with db.transaction() as tx:
        with pytest.raises(asyncpg.ActiveSQLTransactionError):
            async with tx.transaction():
                await tx.execute("vacuum notes")


async def test_several_statements_that_refuse_a_transaction_run_once(db: Database) -> None:
    with pytest.raises(asyncpg.ActiveSQLTransactionError, match="VACUUM cannot run inside a transaction block"):
        await db.execute("insert into notes values ('kept'); commit; vacuum notes")
    assert await db.fetchval("select count(*) from notes") == 1


async def test_a_cancelled_statement_harms_nobody(db: Database) -> None:
    for _ in range(5):
        tasks = [asyncio.ensure_future(sleep(db, seconds=60)) for _ in range(SERVER_CONNECTIONS)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        numbers = await asyncio.gather(*(get_number(db, number=number) for number in range(10)))
        assert numbers == list(range(10))


@pytest.mark.parametrize(
    "sql",
    [
        "set lock_timeout = '1s'",
        "set role postgres",
        "listen news",
        "select pg_advisory_lock(1)",
        "create temporary table mine (id int)",
        "prepare mine as select 1",
        "select 1; set lock_timeout = '1s'",
    ],
)
async def test_what_would_stay_in_a_session_is_refused(db: Database, sql: str) -> None:
    with pytest.raises(SessionStateRefused, match="PgBouncer"):
        await db.execute(sql)
    async with db.transaction() as tx:
        with pytest.raises(SessionStateRefused, match="PgBouncer"):
            await tx.fetch(sql)
        assert await get_number(tx, number=1) == 1


async def test_a_named_statement_and_a_listener_are_refused_too(db: Database) -> None:
    with pytest.raises(SessionStateRefused, match=r"set_config\(\) for the session"):
        await set_lock_timeout(db, value="1s")
    async with db.acquire() as connection:
        with pytest.raises(SessionStateRefused, match="LISTEN"):
            await connection.driver.add_listener("news", print)


async def test_what_ends_with_its_transaction_is_allowed(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute("set local lock_timeout = '7s'")
        await tx.execute("select pg_advisory_xact_lock(1)")
        assert await tx.fetchval("show lock_timeout") == "7s"

    assert await db.fetchval("show lock_timeout") == "0"


async def test_no_prepared_statement_stays_behind(db: Database, bounced: str) -> None:
    await asyncio.gather(*(get_number(db, number=number) for number in range(50)))

    for _ in range(SERVER_CONNECTIONS * 2):
        with psycopg.connect(bounced, autocommit=True) as other:
            assert other.execute("select count(*) from pg_prepared_statements").fetchone() == (0,)


def test_migrations_go_past_it_while_others_go_through(direct: str, bounced: str, tmp_path: Path) -> None:
    apply_migrations(direct)

    with psycopg.connect(bounced, autocommit=True) as other:
        assert other.execute("select count(*) from users").fetchone() == (0,)


async def test_a_pgbouncer_that_nobody_told_of_is_named(bounced: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"is a PgBouncer .*set DB_PGBOUNCER=true"):
        async with Database(bounced, min_size=1):
            pass
