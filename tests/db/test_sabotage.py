"""Whatever fails, and whoever is cancelled, at any step: the pool loses no connection and no waiter."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db import BinderyError, Connection, Database
from tests.db.pools import get_number, set_lock_timeout, sleep, stream_series, until
from tests.db.sabotage import KINDS, LOOPS, Kind, Sabotage, Saboteur

Deed = Callable[[Database], Awaitable[object]]
SIZE = 2
NAME = "sabotaged"


async def ask(db: Database) -> None:
    await get_number(db, number=1)


async def ask_in_time(db: Database) -> None:
    await sleep(db.within(0.001), seconds=0.002)


async def borrow(db: Database) -> None:
    async with db.acquire() as connection:
        await get_number(connection, number=1)
        await connection.fetchval("select 1")


async def leave_something(db: Database) -> None:
    await set_lock_timeout(db, value="1s")


async def commit(db: Database) -> None:
    async with db.transaction() as tx:
        await get_number(tx, number=1)
        async with tx.transaction():
            await get_number(tx, number=2)


async def roll_back(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.fetchval("select 1 / 0")


async def run(db: Database) -> None:
    async def work(tx: Connection) -> int:
        return await get_number(tx, number=1)

    await db.run(work)


async def stream(db: Database) -> None:
    async with stream_series(db, number=600) as rows:
        async for _ in rows:
            pass


async def lock(db: Database) -> None:
    async with db.lock("a", timeout=0.02):
        await asyncio.sleep(0)


async def die(db: Database) -> None:
    await db.fetchval("select pg_terminate_backend(pg_backend_pid())")


async def wait_briefly(db: Database) -> None:
    async with db.acquire(timeout=0.0005):
        await asyncio.sleep(0.001)


async def replace(db: Database) -> None:
    db.retire_connections()


DEEDS: tuple[Deed, ...] = (
    ask, ask_in_time, borrow, leave_something, commit, roll_back, run, stream, lock, die, wait_briefly, replace,
)  # fmt: skip


async def attempt(db: Database, deeds: list[Deed]) -> None:
    """One after the other, whatever becomes of them."""
    for deed in deeds:
        try:
            await deed(db)
        except (BinderyError, asyncpg.PostgresError, asyncpg.InterfaceError, Sabotage):
            continue


async def sabotaged(dsn: str, saboteur: Saboteur, clients: list[list[Deed]], ping_after: float) -> None:
    """The clients at work, and one fault among them; afterwards the pool is whole."""
    async with Database(
        dsn, min_size=1, max_size=SIZE, ping_after=ping_after, close_timeout=2, connect_timeout=2, application_name=NAME
    ) as db:
        saboteur.armed = True
        works = [
            asyncio.ensure_future(saboteur.interrupted(attempt(db, deeds), "cancelled", "cancelled late"))
            for deeds in clients
        ]
        await asyncio.wait(works)
        saboteur.armed = False
        for work in works:
            if not work.cancelled():
                assert work.exception() is None
        await is_whole(db)


async def is_whole(db: Database) -> None:
    """No connection and no waiter is lost, and the numbers agree."""
    await until(lambda: not db.statistics().in_use and not db.statistics().opening, seconds=5)
    await until(lambda: db.statistics().size, seconds=5)
    lent = [db.acquire(timeout=5) for _ in range(SIZE)]
    connections = await asyncio.gather(*(each.__aenter__() for each in lent))
    assert [await get_number(each, number=7) for each in connections] == [7] * SIZE
    sessions = await open_sessions(connections[0])
    statistics = db.statistics()
    assert (statistics.waiting, statistics.in_use, statistics.size) == (0, SIZE, SIZE)
    assert statistics.connects - sum(statistics.evictions.values()) == SIZE
    assert sum(statistics.wait_histogram.values()) == statistics.waits
    for each in lent:
        await each.__aexit__(None, None, None)
    await until(lambda: not db.statistics().in_use, seconds=5)
    assert sessions == SIZE


async def open_sessions(connection: Connection) -> int:
    """How many sessions the server has open for this pool, once those that were closed are gone."""
    count = 0
    for _ in range(200):
        count = await connection.fetchval(
            "select count(*) from pg_stat_activity where application_name = $1 and datname = current_database()", NAME
        )
        if count == SIZE:
            break
        await asyncio.sleep(0.01)
    return count


def tell_others(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Print what nobody has caught, but for the faults that were made."""
    if not isinstance(context.get("exception"), Sabotage):
        loop.default_exception_handler(context)


def sabotage(dsn: str, loop: str, saboteur: Saboteur, *, clients: list[list[Deed]], ping_after: float) -> Saboteur:
    """The clients at work on this event loop, and the saboteur among them, who tells whether there was a fault."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        saboteur.patch(monkeypatch)
        with asyncio.Runner(loop_factory=lambda: saboteur.loop(LOOPS[loop])) as runner:
            runner.get_loop().set_exception_handler(tell_others)
            runner.run(sabotaged(dsn, saboteur, clients, ping_after))
    return saboteur


WORK: dict[str, tuple[float, list[list[Deed]]]] = {
    "tested before use": (0.0, [[borrow], [ask, leave_something], [commit], [stream]]),
    "used at once": (0.5, [[run], [lock, replace], [roll_back], [die, ask]]),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("work", WORK)
def test_a_fault_at_any_step_loses_no_connection_and_no_waiter(
    database_url: str, caplog: pytest.LogCaptureFixture, loop: str, kind: Kind, work: str
) -> None:
    ping_after, clients = WORK[work]
    at = 1
    while sabotage(database_url, loop, Saboteur(kind, at), clients=clients, ping_after=ping_after).done:
        at += 1
    caplog.clear()
    assert at > 5


@pytest.mark.parametrize("loop", LOOPS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    work=st.tuples(
        st.lists(st.lists(st.sampled_from(DEEDS), min_size=1, max_size=4), min_size=1, max_size=5),
        st.sampled_from([0.0, 0.5]),
    ),
    fault=st.tuples(st.sampled_from(KINDS), st.integers(1, 60)),
)
def test_a_fault_in_any_work_loses_no_connection_and_no_waiter(
    database_url: str,
    caplog: pytest.LogCaptureFixture,
    loop: str,
    work: tuple[list[list[Deed]], float],
    fault: tuple[Kind, int],
) -> None:
    clients, ping_after = work
    sabotage(database_url, loop, Saboteur(*fault), clients=clients, ping_after=ping_after)
    caplog.clear()
