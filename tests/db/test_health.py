"""Connections die, grow old and are not needed any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from app.db import CommitUnknown, Database, DatabaseUnavailable
from app.db.pool.upkeep import Upkeep
from tests.db.pools import (
    add_note,
    get_number,
    get_pid,
    list_series,
    pool,
    set_lock_timeout,
    sleep,
    stream_series,
    until,
    until_idle,
)
from tests.network import Network

PING = "select"


def kill(dsn: str, *pids: int) -> None:
    """End these sessions from the server's side."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for pid in pids:
            # The time-out makes it wait until the session is gone.
            connection.execute("select pg_terminate_backend(%s, 20000)", [pid])


async def held(db: Database, number: int) -> list[int]:
    """The process numbers of so many connections, held at once."""
    together = asyncio.Barrier(number)

    async def hold() -> int:
        async with db.acquire() as connection:
            await together.wait()
            return await get_pid(connection)

    return await asyncio.gather(*(hold() for _ in range(number)))


async def test_a_connection_in_use_is_not_tested(network: Network) -> None:
    async with pool(network.dsn, ping_after=30.0) as db:
        for number in range(5):
            await get_number(db, number=number)

        assert PING not in network.statements
        assert db.statistics().pings == 0


async def test_a_connection_that_was_idle_is_tested_before_it_is_lent(network: Network) -> None:
    async with pool(network.dsn, ping_after=0.0) as db:
        await get_number(db, number=1)
        await get_number(db, number=2)

        assert network.statements.count(PING) == db.statistics().pings == 2


async def test_the_test_before_lending_can_be_switched_off(network: Network) -> None:
    async with pool(network.dsn, ping_after=0.0, pre_ping=False) as db:
        await get_number(db, number=1)

        assert PING not in network.statements


async def test_a_dead_idle_connection_costs_nobody_an_error(database_url: str, network: Network) -> None:
    async with pool(network.dsn, ping_after=0.0, min_size=3, max_size=3) as db:
        kill(database_url, *await held(db, 3))

        assert await asyncio.gather(*(get_number(db, number=number) for number in range(6))) == list(range(6))
        assert db.statistics().evictions.keys() <= {"dead", "fatal", "reset"}


async def test_a_read_whose_idle_connection_was_dead_is_run_again(network: Network) -> None:
    async with pool(network.dsn, pre_ping=False, min_size=2, max_size=2) as db:
        network.hold()
        read = asyncio.ensure_future(get_number(db, number=5))
        await until(lambda: network.waiting)
        network.drop()

        assert await read == 5
        assert db.statistics().retries == 1


async def test_a_write_whose_idle_connection_was_dead_is_an_error(database_url: str, network: Network) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("create table notes (body text)")
    async with pool(network.dsn, pre_ping=False) as db:
        network.hold()
        write = asyncio.ensure_future(add_note(db, body="once"))
        await until(lambda: db.statistics().in_use == 1 and network.waiting)
        network.drop()

        with pytest.raises(DatabaseUnavailable, match="lost during add_note") as lost:
            await write
        assert lost.value.may_be_done
        assert db.statistics().retries == 0


async def test_a_function_nobody_vouched_for_is_not_run_again(network: Network) -> None:
    async with pool(network.dsn, pre_ping=False) as db:
        network.hold()
        call = asyncio.ensure_future(set_lock_timeout(db, value="1s"))
        await until(lambda: db.statistics().in_use == 1 and network.waiting)
        network.drop()

        with pytest.raises(DatabaseUnavailable, match="lost during set_lock_timeout"):
            await call


async def test_a_read_in_a_transaction_is_not_run_again(network: Network) -> None:
    async with pool(network.dsn, pre_ping=False) as db:
        with pytest.raises(DatabaseUnavailable, match="lost during get_number") as lost:
            async with db.transaction() as tx:
                network.drop()
                await get_number(tx, number=1)
        assert not lost.value.may_be_done


async def test_a_read_on_a_connection_that_was_handed_over_is_not_run_again(network: Network) -> None:
    async with pool(network.dsn, pre_ping=False) as db:
        async with db.acquire():
            read = asyncio.ensure_future(get_number(db, number=1))
            await until(lambda: db.statistics().waiting == 1)
            network.hold()
        await until(lambda: network.waiting)
        network.drop()

        with pytest.raises(DatabaseUnavailable) as lost:
            await read
        assert not lost.value.may_be_done


async def test_a_session_ended_by_an_administrator_is_replaced(database_url: str) -> None:
    async with pool(database_url) as db:
        async with db.acquire() as connection:
            first = await get_pid(connection)
            running = asyncio.ensure_future(sleep(connection, seconds=60))
            await until(lambda: db.statistics().in_use == 1)
            await asyncio.sleep(0.05)
            kill(database_url, first)
            with pytest.raises(DatabaseUnavailable, match="lost during sleep"):
                await running

        assert await get_pid(db) != first
        assert db.statistics().evictions == {"fatal": 1}


async def test_raw_sql_on_a_lost_connection_is_the_same_error(database_url: str) -> None:
    async with pool(database_url) as db:
        async with db.acquire() as connection:
            kill(database_url, await get_pid(connection))
            for _ in range(2):
                with pytest.raises(DatabaseUnavailable, match="lost during raw SQL"):
                    await connection.fetch("select 1")
        assert await get_number(db, number=1) == 1


async def test_the_idle_siblings_of_a_lost_connection_are_tested(database_url: str, network: Network) -> None:
    async with pool(network.dsn, min_size=4, max_size=4, ping_after=60.0, keepalive=60.0) as db:
        async with db.acquire() as connection:
            kill(database_url, await get_pid(connection))
            with pytest.raises(DatabaseUnavailable):
                await get_number(connection, number=1)
        await until(lambda: db.statistics().pings == 3)
        await until(lambda: db.statistics().idle == 4)

        assert db.statistics().evictions == {"fatal": 1}


async def test_what_was_lost_is_opened_again_in_the_background(database_url: str) -> None:
    async with pool(database_url, min_size=3, max_size=3) as db:
        kill(database_url, *await held(db, 3))
        await until(lambda: db.statistics().connects == 6)
        await until_idle(db)

        assert db.statistics().idle == 3
        assert sum(db.statistics().evictions.values()) == 3


async def test_attempts_to_connect_become_rare_while_the_server_is_away(network: Network) -> None:
    async with pool(network.dsn, min_size=3, max_size=3) as db:
        await network.cut()
        await until(lambda: db.statistics().connect_failures >= 3)
        before = db.statistics().connect_failures
        await asyncio.sleep(0.5)

        # Half a second has room for hundreds of attempts that are refused at once.
        assert db.statistics().connect_failures <= before + 20
        await network.mend()
        await until(lambda: db.statistics().idle == 3)


async def test_waiters_do_not_hurry_attempts_to_connect(network: Network) -> None:
    async with pool(network.dsn, max_size=2, acquire_timeout=60) as db:
        async with db.acquire():
            await network.refuse()
            waiting = asyncio.ensure_future(get_number(db, number=1))
            await until(lambda: db.statistics().connect_failures >= 1)
            await asyncio.sleep(0.5)

            assert db.statistics().connect_failures <= 20
        assert await waiting == 1


async def test_whoever_waits_gets_a_connection_when_the_server_is_back(network: Network) -> None:
    async with pool(network.dsn, max_size=2, acquire_timeout=60) as db, db.acquire():
        await network.refuse()
        waiting = asyncio.ensure_future(get_number(db, number=1))
        await until(lambda: db.statistics().connect_failures >= 1)
        await network.mend()

        assert await waiting == 1


async def test_connections_beyond_the_size_are_closed_when_they_were_idle_for_long(database_url: str) -> None:
    async with pool(database_url, min_size=2, max_size=5, idle_timeout=0.1) as db:
        await held(db, 5)
        assert db.statistics().size == 5
        await until(lambda: db.statistics().size == 2)

        assert db.statistics().evictions == {"idle": 3}


async def test_the_connection_that_was_used_last_outlives_its_idle_siblings(database_url: str) -> None:
    async with pool(database_url, min_size=1, max_size=3, idle_timeout=0.2) as db:
        await held(db, 3)
        used_last = await get_pid(db)
        await until(lambda: db.statistics().size == 1)

        assert await get_pid(db) == used_last


async def test_a_connection_is_replaced_at_the_end_of_its_lifetime(database_url: str) -> None:
    async with pool(database_url, max_lifetime=0.1) as db:
        first = await get_pid(db)
        await until(lambda: db.statistics().evictions.get("lifetime", 0) >= 1)

        assert await get_pid(db) != first


async def test_connections_that_are_retired_are_replaced_as_soon_as_nobody_uses_them(database_url: str) -> None:
    async with pool(database_url, min_size=2, max_size=2) as db:
        before = set(await held(db, 2))
        async with db.acquire() as connection:
            lent = await get_pid(connection)
            db.retire_connections()
            await until(lambda: db.statistics().evictions == {"retired": 1})
            assert await get_pid(connection) == lent
        await until(lambda: db.statistics().evictions == {"retired": 2})

        assert not before & set(await held(db, 2))


async def test_a_connection_that_was_retired_while_it_was_lent_is_not_lent_again(database_url: str) -> None:
    async with pool(database_url, acquire_timeout=60) as db:
        async with db.acquire() as connection:
            lent = await get_pid(connection)
            waiting = asyncio.ensure_future(get_pid(db))
            await until(lambda: db.statistics().waiting == 1)
            db.retire_connections()

        assert await waiting != lent


async def test_connections_opened_together_do_not_end_together(database_url: str) -> None:
    async with pool(database_url, min_size=5, max_size=5, max_lifetime=100.0) as db:
        pool_of_five = getattr(db, "_pool")  # noqa: B009 - no public name says when a session ends
        ends = {pooled.expires for pooled in pool_of_five.state.sessions}

        assert len(ends) == 5
        assert max(ends) - min(ends) < 100.0 * 0.11


async def test_a_lent_connection_is_left_alone(network: Network) -> None:
    settings: dict[str, Any] = {"max_lifetime": 0.05, "idle_timeout": 0.05, "keepalive": 0.05, "ping_after": 0.0}
    async with pool(network.dsn, min_size=0, **settings) as db, db.acquire() as connection:
        heard: asyncio.Queue[object] = asyncio.Queue()

        def hear(*message: object) -> None:
            heard.put_nowait(message[3])

        await connection.driver.add_listener("news", hear)
        pid = await get_pid(connection)
        seen = len(network.statements)
        await asyncio.sleep(0.3)
        assert len(network.statements) == seen
        await connection.driver.execute("notify news, 'good'")

        assert await asyncio.wait_for(heard.get(), 20) == "good"
        assert await get_pid(connection) == pid
        await connection.driver.reset()


async def test_idle_connections_are_kept_alive(network: Network) -> None:
    async with pool(network.dsn, min_size=2, max_size=2, keepalive=0.05) as db:
        await until(lambda: db.statistics().pings >= 4)

        assert db.statistics().size == 2
        assert db.statistics().evictions == {}


async def test_keeping_connections_alive_does_not_change_which_is_used_next(database_url: str) -> None:
    async with pool(database_url, min_size=3, max_size=3, keepalive=1.0) as db:
        await held(db, 3)
        used_last = await get_pid(db)
        await until(lambda: db.statistics().pings >= 3)

        assert await get_pid(db) == used_last


async def test_the_upkeep_survives_its_own_faults(
    database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults: list[int] = []

    def fail(_: Upkeep) -> None:
        faults.append(1)
        monkeypatch.undo()
        raise RuntimeError("a fault")

    monkeypatch.setattr(Upkeep, "close_expired", fail)
    with caplog.at_level(logging.ERROR):
        async with pool(database_url, max_lifetime=0.1) as db:
            await until(lambda: db.statistics().evictions.get("lifetime"))

    assert faults == [1]
    assert "keeping the pool of" in caplog.text
    assert "a fault" in caplog.text
    caplog.clear()


async def test_a_stream_without_a_server_is_the_same_error_as_any_statement(network: Network) -> None:
    async with pool(network.dsn, min_size=0, max_size=1) as db:
        await db.fetchval("select 1")
        await network.cut()
        with pytest.raises(DatabaseUnavailable):
            await get_number(db, number=5)
        with pytest.raises(DatabaseUnavailable):
            await first_rows(db)
        await network.mend()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Settings with which a server that says nothing counts as dead after two seconds."""
    monkeypatch.setattr("app.db.sql.statement_timeout.GRACE", 1.0)
    return {"statement_timeout": 1.0, "keepalive": 0.1}


async def test_a_network_that_swallows_everything_is_noticed(network: Network, impatient: dict[str, float]) -> None:
    async with pool(network.dsn, **impatient) as db:
        network.hold()
        call = asyncio.ensure_future(set_lock_timeout(db, value="1s"))
        async with asyncio.timeout(20):
            with pytest.raises(
                DatabaseUnavailable, match=r"lost during set_lock_timeout: .* not answered for \d+\.\d s"
            ):
                await call

        assert db.statistics().evictions["silent"] == 1
        network.release()
        assert await get_number(db, number=5) == 5


async def raw(db: Database) -> None:
    async with db.acquire() as connection:
        await connection.fetchval("select 1")


async def begin(db: Database) -> None:
    async with db.transaction():
        pass


async def first_rows(db: Database) -> None:
    async with stream_series(db, number=5) as rows:
        async for _ in rows:
            pass


@pytest.mark.parametrize("use", [raw, begin, first_rows])
async def test_whatever_waits_for_a_silent_server_gets_to_know(
    network: Network, impatient: dict[str, float], use: Callable[[Database], Awaitable[None]]
) -> None:
    async with pool(network.dsn, pre_ping=False, **impatient) as db:
        network.hold()
        async with asyncio.timeout(20):
            with pytest.raises(DatabaseUnavailable, match="not answered"):
                await use(db)


async def test_a_commit_that_nobody_answers_is_a_question(network: Network, impatient: dict[str, float]) -> None:
    async with pool(network.dsn, **impatient) as db, asyncio.timeout(20):
        with pytest.raises(CommitUnknown, match="not answered"):
            async with db.transaction() as tx:
                await get_number(tx, number=5)
                network.hold()


async def test_a_connection_that_nobody_uses_may_be_silent(network: Network, impatient: dict[str, float]) -> None:
    async with pool(network.dsn, **impatient) as db, db.transaction() as tx:
        await get_number(tx, number=5)
        await asyncio.sleep(2.5)

        assert await get_number(tx, number=6) == 6
        assert not db.statistics().evictions


async def test_statistics_count_what_happened(database_url: str) -> None:
    async with pool(database_url, min_size=2, max_size=3, pre_ping=False) as db:
        fresh = db.statistics()
        assert (fresh.min_size, fresh.max_size, fresh.size, fresh.idle, fresh.in_use) == (2, 3, 2, 2, 0)
        assert (fresh.acquires, fresh.waits, fresh.connects, fresh.opening, fresh.waiting) == (0, 0, 2, 0, 0)

        await get_number(db, number=1)
        assert await list_series(db, number=3) == [1, 2, 3]
        async with db.acquire() as connection:
            assert db.statistics().in_use == 1
            assert db.statistics().idle == 1
            await connection.execute("select 1")
        await until_idle(db)

        after = db.statistics()
        assert (after.acquires, after.resets, after.waits) == (3, 1, 0)
        assert replace(after, acquires=0, resets=0) == fresh


async def test_statistics_tell_how_long_tasks_waited(database_url: str) -> None:
    async with pool(database_url) as db:
        async with db.acquire():
            tasks = [asyncio.ensure_future(get_number(db, number=1)) for _ in range(3)]
            await until(lambda: db.statistics().waiting == 3)
            await asyncio.sleep(0.06)
        await asyncio.gather(*tasks)
        statistics = db.statistics()

    assert statistics.waits == sum(statistics.wait_histogram.values()) == 3
    assert 3 * 0.05 < statistics.wait_seconds < 3 * 60
    assert not any(number for limit, number in statistics.wait_histogram.items() if limit <= 0.05)
    assert list(statistics.wait_histogram)[-1] == float("inf")
