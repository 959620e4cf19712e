"""What one holder of a connection does to its session never reaches the next, and the others do not pay for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from app.db import Connection, Database
from tests.db.pools import get_number, list_series, pool, queries, set_lock_timeout, until_idle
from tests.network import Network

pytestmark = pytest.mark.one_loop

STATE = """
select session_user as session_user, current_user as current_user, current_setting('lock_timeout') as lock_timeout,
    current_setting('search_path') as search_path, current_setting('application_name') as application_name,
    current_setting('session_replication_role') as replication_role, current_setting('TimeZone') as zone,
    current_setting('default_transaction_isolation') as isolation, coalesce(current_setting('my.own', true), '') as own,
    (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
    (select count(*) from pg_cursors) as cursors,
    (select count(*) from pg_listening_channels()) as channels,
    (select count(*) from pg_prepared_statements where from_sql) as statements,
    (select count(*) from pg_class where relpersistence = 't') as temporary
"""


@pytest.fixture
async def one(database_url: str) -> AsyncIterator[Database]:
    """A pool of one connection, so that the next holder gets the same, in a database with a role and a sequence."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "do $$ begin create role reader; exception when duplicate_object or unique_violation then end $$"
        )
        connection.execute("create sequence counter")
    async with pool(database_url) as db:
        yield db


async def state(db: Database) -> dict[str, Any]:
    async with db.acquire() as connection:
        record = await connection.fetchrow(STATE)
        assert record is not None
        return dict(record)


@pytest.mark.parametrize(
    "sql",
    [
        "set role reader",
        "set session authorization reader",
        "set lock_timeout = '1s'",
        "set time zone 'Asia/Tokyo'",
        "set my.own = 'mine'",
        "set session characteristics as transaction isolation level serializable",
        "select set_config('search_path', 'pg_catalog', false)",
        "set session_replication_role = replica; set application_name = 'mine'",
        "select pg_advisory_lock(1), pg_advisory_lock_shared(2)",
        "create temporary table mine (id int)",
        "select 1 as id into temporary mine",
        "listen news",
        "begin; declare mine cursor with hold for select 1; commit",
        "prepare mine as select 1",
        "begin; set lock_timeout = '1s'; create temporary table mine (id int)",
        "set role reader; select 1/0",
        "do $$ begin perform set_config('lock_timeout', '1s', false); execute 'set role reader'; end $$",
        "do $$ begin execute 'prepare mine as select 1'; end $$",
    ],
)
async def test_nothing_of_a_session_reaches_the_next_holder(one: Database, sql: str) -> None:
    before = await state(one)
    async with one.acquire() as connection:
        try:
            await connection.execute(sql)
        except Exception as error:
            assert "division by zero" in str(error)
    await until_idle(one)

    assert await state(one) == before


@pytest.mark.parametrize("sql", ["load 'auto_explain'", "PREPARE mine as select 1"])
async def test_a_session_that_cannot_be_reset_is_closed(one: Database, sql: str) -> None:
    async with one.acquire() as connection:
        pid = await connection.fetchval("select pg_backend_pid()")
        await allowed(connection, sql)
    async with one.acquire() as connection:
        assert await connection.fetchval("select pg_backend_pid()") != pid
    assert one.statistics().evictions == {"reset": 1}


async def allowed(connection: Connection, sql: str) -> None:
    """Run it, also where the server was built without the library."""
    try:
        await connection.execute(sql)
    except Exception as error:
        assert "could not access file" in str(error)


async def test_the_last_value_of_a_sequence_is_forgotten(one: Database) -> None:
    async with one.acquire() as connection:
        await connection.execute("select nextval('counter')")
    async with one.acquire() as connection:
        with pytest.raises(Exception, match="not yet defined in this session"):
            await connection.fetchval("select currval('counter')")


async def test_a_transaction_that_was_left_open_is_rolled_back(one: Database) -> None:
    async with one.acquire() as connection:
        await connection.execute("begin; create table left_open (id int)")
    async with one.acquire() as connection:
        assert not connection.is_in_transaction()
        assert await connection.fetchval("select to_regclass('left_open') is null")


async def test_a_listener_hears_nothing_after_it_was_given_back(one: Database) -> None:
    heard: list[object] = []

    def hear(*message: object) -> None:
        heard.append(message)

    async with one.acquire() as connection:
        await connection.driver.add_listener("news", hear)
    await one.execute("notify news, 'secret'")
    await get_number(one, number=1)

    assert heard == []


async def test_types_that_were_registered_do_not_reach_the_next_holder(one: Database) -> None:
    async with one.acquire() as connection:
        await connection.driver.set_type_codec("int4", schema="pg_catalog", encoder=str, decoder="number {}".format)
        assert await connection.fetchval("select 1") == "number 1"

    assert await one.fetchval("select 1") == 1


async def test_named_statements_go_on_after_a_reset(network: Network) -> None:
    async with pool(network.dsn, pre_ping=False) as db:
        await get_number(db, number=1)
        await db.execute("set lock_timeout = '1s'")
        await get_number(db, number=2)
        named = [text for text in network.statements if "numbers.get_number" in text or "select $1::int" in text]
        # Once it was planned for any arguments beside.
        prepared = [text for text in named if not text.startswith(("explain", "do $bindery"))]

        assert len(prepared) == 2
        assert db.statistics().resets == 1
        assert db.statistics().connects == 1


async def test_a_named_statement_with_an_unknown_function_is_reset(one: Database) -> None:
    before = await state(one)
    assert await set_lock_timeout(one, value="7s") == "7s"
    await until_idle(one)

    assert await state(one) == before


async def test_harmless_statements_cost_nothing_but_themselves(network: Network) -> None:
    async with pool(network.dsn, pre_ping=False) as db:
        await get_number(db, number=1)
        await list_series(db, number=3)
        before = len(network.statements)
        for number in range(5):
            await get_number(db, number=number)
            await list_series(db, number=number)
            async with db.acquire() as connection:
                await get_number(connection, number=number)

        assert len(network.statements) - before == 15
        assert db.statistics().resets == 0


async def test_a_transaction_of_harmless_statements_costs_begin_and_commit(network: Network) -> None:
    async with pool(network.dsn, pre_ping=False) as db:
        await get_number(db, number=1)
        before = len(network.statements)
        async with db.transaction() as tx:
            await get_number(tx, number=1)
            await get_number(tx, number=2)

        assert len(network.statements) - before == 4
        assert network.statements[before] == "begin;"
        assert network.statements[-1] == "commit"


def test_statements_are_classified_when_they_are_loaded() -> None:
    touching = {name for name, query in queries.bound.items() if query.touches_session}

    assert touching == {"sleep", "wait_for_turn", "set_lock_timeout"}
