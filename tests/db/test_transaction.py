"""A block that ends without an exception was stored, whatever happened in it; all others say why not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from app.db import (
    BadArgument,
    CommitUnknown,
    Conflict,
    Connection,
    ConnectionBusy,
    Database,
    DatabaseUnavailable,
    StatementTimeout,
    TransactionAborted,
)
from tests.db.ledger import add_entry, create_entries, held_commits, stored, until_committing, wait_and_count
from tests.network import Network

pytestmark = pytest.mark.usefixtures("entries")


@pytest.fixture
async def entries(db: Database) -> None:
    await create_entries(db)


async def is_unharmed(db: Database) -> bool:
    """Whether every connection is back, outside any transaction."""
    open_transactions = """
        select count(*) from pg_stat_activity
        where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()
    """
    async with asyncio.timeout(30):
        while db.statistics().in_use or await db.fetchval(open_transactions):
            await asyncio.sleep(0.01)
    return True


async def fail_raw(tx: Connection) -> None:
    await tx.fetch("select 1 / 0")


async def fail_bound(tx: Connection) -> None:
    await add_entry(tx, id=1, amount=1)


async def fail_in_execute(tx: Connection) -> None:
    await tx.execute("insert into entries values (1, 1)")


async def fail_in_time(tx: Connection) -> None:
    async with asyncio.timeout(0.05):
        await wait_and_count(tx, seconds=60)


async def fail_at_deadline(tx: Connection) -> None:
    await wait_and_count(tx.within(0.05), seconds=60)


async def fail_raw_at_deadline(tx: Connection) -> None:
    await tx.fetch("select pg_sleep(60)", timeout=0.05)


Failure = Callable[[Connection], Awaitable[None]]
FAILURES: list[tuple[Failure, type[Exception], type[BaseException]]] = [
    (fail_raw, asyncpg.DivisionByZeroError, asyncpg.DivisionByZeroError),
    (fail_bound, Conflict, Conflict),
    (fail_in_execute, asyncpg.UniqueViolationError, asyncpg.UniqueViolationError),
    (fail_in_time, TimeoutError, asyncio.CancelledError),
    (fail_at_deadline, StatementTimeout, StatementTimeout),
    (fail_raw_at_deadline, StatementTimeout, TimeoutError),
]


async def test_a_block_that_ends_is_stored(db: Database) -> None:
    async with db.transaction() as tx:
        await add_entry(tx, id=1, amount=1)

    assert await stored(db) == [1]


async def test_an_exception_stores_nothing(db: Database) -> None:
    with pytest.raises(KeyError):
        async with db.transaction() as tx:
            await add_entry(tx, id=1, amount=1)
            raise KeyError

    assert await stored(db) == []
    assert await is_unharmed(db)


@pytest.mark.parametrize(("fail", "swallowed", "cause"), FAILURES)
async def test_a_swallowed_failure_is_told_at_the_end(
    db: Database, fail: Failure, swallowed: type[Exception], cause: type[BaseException]
) -> None:
    await add_entry(db, id=1, amount=1)
    with pytest.raises(TransactionAborted) as aborted:
        async with db.transaction() as tx:
            await add_entry(tx, id=2, amount=1)
            with pytest.raises(swallowed):
                await fail(tx)

    assert type(aborted.value.__cause__) is cause
    assert await stored(db) == [1]
    assert await is_unharmed(db)


@pytest.mark.parametrize(("fail", "swallowed", "cause"), FAILURES)
async def test_a_failure_in_a_savepoint_that_was_rolled_back_does_not_count(
    db: Database, fail: Failure, swallowed: type[Exception], cause: type[BaseException]
) -> None:
    assert cause
    await add_entry(db, id=1, amount=1)
    async with db.transaction() as tx:
        await add_entry(tx, id=2, amount=1)
        with pytest.raises(swallowed):
            async with tx.transaction():
                await add_entry(tx, id=3, amount=1)
                await fail(tx)
        await add_entry(tx, id=4, amount=1)

    assert await stored(db) == [1, 2, 4]
    assert await is_unharmed(db)


@pytest.mark.parametrize(("fail", "swallowed", "cause"), FAILURES)
async def test_a_savepoint_that_ends_after_a_swallowed_failure_is_undone_alone(
    db: Database, fail: Failure, swallowed: type[Exception], cause: type[BaseException]
) -> None:
    await add_entry(db, id=1, amount=1)
    async with db.transaction() as tx:
        await add_entry(tx, id=2, amount=1)
        with pytest.raises(TransactionAborted) as aborted:
            async with tx.transaction():
                await add_entry(tx, id=3, amount=1)
                with pytest.raises(swallowed):
                    await fail(tx)

    assert type(aborted.value.__cause__) is cause
    assert await stored(db) == [1, 2]


async def test_the_first_failure_is_the_cause(db: Database) -> None:
    with pytest.raises(TransactionAborted) as aborted:
        async with db.transaction() as tx:
            for sql in ("select 1 / 0", "select missing"):
                with pytest.raises(asyncpg.PostgresError):
                    await tx.fetch(sql)

    assert isinstance(aborted.value.__cause__, asyncpg.DivisionByZeroError)


async def test_a_value_that_never_reached_the_server_ends_no_transaction(db: Database) -> None:
    async with db.transaction() as tx:
        with pytest.raises(BadArgument):
            await add_entry(tx, id=2**40, amount=1)
        await add_entry(tx, id=1, amount=1)

    assert await stored(db) == [1]


async def test_a_failure_on_the_drivers_own_connection_is_told_too(db: Database) -> None:
    with pytest.raises(TransactionAborted, match="asyncpg's own"):
        async with db.transaction() as tx:
            with pytest.raises(asyncpg.DivisionByZeroError):
                await tx.driver.fetch("select 1 / 0")


async def test_the_drivers_own_transactions_and_cursors_nest(db: Database) -> None:
    async with db.transaction() as tx:
        async with tx.driver.transaction():
            assert [row[0] async for row in tx.driver.cursor("select generate_series(1, 3)")] == [1, 2, 3]
        await add_entry(tx, id=1, amount=1)

    assert await stored(db) == [1]


async def test_raw_sql_cannot_end_the_transaction_unnoticed(db: Database) -> None:
    with pytest.raises(TransactionAborted, match="raw SQL ended"):
        async with db.transaction() as tx:
            await tx.execute("rollback")


async def test_savepoints_nest_and_end_in_any_way(db: Database) -> None:
    async with db.transaction() as tx, tx.transaction():
        await add_entry(tx, id=1, amount=1)
        with pytest.raises(KeyError):
            async with tx.transaction():
                await add_entry(tx, id=2, amount=1)
                raise KeyError
        async with tx.transaction():
            await add_entry(tx, id=3, amount=1)

    assert await stored(db) == [1, 3]


async def test_a_savepoint_refuses_options(db: Database) -> None:
    async with db.transaction() as tx:
        with pytest.raises(ValueError, match="nested"):
            async with tx.transaction(isolation="serializable"):
                raise AssertionError
        await add_entry(tx, id=1, amount=1)

    assert await stored(db) == [1]


async def test_options_reach_the_server(db: Database) -> None:
    async with db.transaction(isolation="serializable", readonly=True, deferrable=True) as tx:
        for name in ("isolation", "read_only", "deferrable"):
            assert await tx.fetchval(f"show transaction_{name}") in {"serializable", "on"}
    with pytest.raises(ValueError, match="no isolation"):
        db.transaction(isolation="chaos")  # pyright: ignore[reportArgumentType] - what is refused


async def test_a_deferred_constraint_is_an_error_of_the_block(db: Database) -> None:
    await db.execute("alter table entries add constraint twice unique (amount) deferrable initially deferred")
    with pytest.raises(asyncpg.UniqueViolationError):
        async with db.transaction() as tx:
            await add_entry(tx, id=1, amount=1)
            await add_entry(tx, id=2, amount=1)

    assert await stored(db) == []
    assert await is_unharmed(db)


@pytest.mark.parametrize("steps", range(12))
async def test_a_task_that_is_cancelled_anywhere_stores_all_or_nothing(db: Database, steps: int) -> None:
    async def work() -> None:
        async with db.transaction() as tx:
            await add_entry(tx, id=1, amount=1)
            async with tx.transaction():
                await add_entry(tx, id=2, amount=1)

    task = asyncio.create_task(work())
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await is_unharmed(db)
    assert await stored(db) in ([], [1, 2])


async def test_a_cancelled_task_stops_its_statement_on_the_server(db: Database) -> None:
    running = """
        select count(*) from pg_stat_activity
        where datname = current_database() and state = 'active' and query like '%pg_sleep%' and pid <> pg_backend_pid()
    """
    task = asyncio.ensure_future(wait_and_count(db, seconds=60))
    async with db.acquire() as watcher:
        while await watcher.fetchval(running) == 0:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while await watcher.fetchval(running):
            await asyncio.sleep(0.01)

    assert await is_unharmed(db)


async def test_a_connection_lost_before_commit_stored_nothing(db: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="nothing was stored"):
        async with db.transaction() as tx:
            await add_entry(tx, id=1, amount=1)
            with pytest.raises(DatabaseUnavailable) as lost:
                await tx.execute("select pg_terminate_backend(pg_backend_pid())")
            assert not lost.value.may_be_done

    assert await stored(db) == []


async def test_a_connection_lost_at_commit_is_a_question(db: Database, database_url: str) -> None:
    async with Network(database_url) as network, Database(network.dsn, min_size=1, max_size=1) as far:

        async def add() -> None:
            async with far.transaction() as tx:
                await add_entry(tx, id=1, amount=1)

        async with held_commits(db):
            adding = asyncio.create_task(add())
            await until_committing(db)
            await network.cut()
            with pytest.raises(CommitUnknown):
                await adding
        await network.mend()
        assert await stored(far) == await stored(db)


async def test_what_failed_before_a_transaction_does_not_count_in_it(db: Database) -> None:
    async with db.acquire() as connection:
        with pytest.raises(StatementTimeout):
            await fail_at_deadline(connection)
        async with connection.transaction():
            await add_entry(connection, id=1, amount=1)

    assert await stored(db) == [1]


async def test_the_cause_is_what_the_server_refused_not_what_never_got_there(db: Database) -> None:
    with pytest.raises(TransactionAborted) as aborted:
        async with db.transaction() as tx:
            with pytest.raises(BadArgument):
                await add_entry(tx, id=2**40, amount=1)
            with pytest.raises(asyncpg.DivisionByZeroError):
                await fail_raw(tx)

    assert type(aborted.value.__cause__) is asyncpg.DivisionByZeroError


async def test_after_a_transaction_the_drivers_own_is_no_savepoint(db: Database) -> None:
    async with db.acquire() as connection:
        async with connection.transaction():
            await add_entry(connection, id=1, amount=1)
        async with connection.driver.transaction():
            await add_entry(connection, id=2, amount=1)

    assert await stored(db) == [1, 2]


async def test_a_block_that_ends_while_a_statement_runs_in_it_stores_nothing(db: Database) -> None:
    running: list[asyncio.Task[None]] = []
    async with db.transaction() as other:
        await add_entry(other, id=2, amount=1)
        with pytest.raises(ConnectionBusy, match="COMMIT was not sent: another task is using this connection"):
            async with db.transaction() as tx:
                await add_entry(tx, id=1, amount=1)
                # It waits for the other transaction.
                running.append(asyncio.create_task(add_entry(tx, id=2, amount=1)))
                await asyncio.sleep(0.05)
    with pytest.raises((DatabaseUnavailable, Conflict)) as lost:
        await running[0]

    assert type(lost.value) is DatabaseUnavailable
    assert await stored(db) == [2]
    assert await is_unharmed(db)
