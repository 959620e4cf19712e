"""Transactions: all of it or nothing."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from app.db import (
    CommitUnknown,
    Connection,
    Database,
    DatabaseUnavailable,
    Executor,
    Queries,
    StatementTimeout,
    TransactionAborted,
)
from tests.network import Network


@pytest.fixture
async def notes(db: Database) -> None:
    """An empty table."""
    await db.execute("create table notes (id int, constraint notes_id_key unique (id) deferrable initially deferred)")


@pytest.fixture
def create_note(tmp_path: Path, notes: None) -> Callable[..., Any]:
    """A bound function that inserts one."""
    path = tmp_path / "notes.sql"
    path.write_text("-- name: create_note\ninsert into notes values (:key)")

    @Queries(path).bind
    async def create_note(db: Executor, *, key: int) -> None: ...

    return create_note


async def stored(db: Database) -> list[int]:
    """The notes, as somebody else sees them."""
    return [row["id"] for row in await db.fetch("select id from notes order by id")]


def kill(dsn: str, pid: int) -> None:
    """End a server process, without this process's event loop noticing before it runs again."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute("select pg_terminate_backend(%s, 10000)", [pid]).fetchone()
    assert row == (True,)


async def test_a_transaction_is_committed_when_its_block_ends(db: Database, create_note: Callable[..., Any]) -> None:
    async with db.transaction() as tx:
        assert tx.is_in_transaction()
        await create_note(tx, key=1)
        await create_note(tx, key=2)
        assert await stored(db) == []

    assert await stored(db) == [1, 2]


async def test_a_transaction_is_rolled_back_on_any_exception(db: Database, create_note: Callable[..., Any]) -> None:
    for exception in (KeyError("mine"), KeyboardInterrupt(), asyncpg.PostgresError("mine"), GeneratorExit()):
        with pytest.raises(type(exception)) as error:
            async with db.transaction() as tx:
                await create_note(tx, key=1)
                raise exception
        assert error.value is exception

    assert await stored(db) == []


async def test_a_transaction_is_rolled_back_when_its_task_is_cancelled(
    database_url: str, db: Database, create_note: Callable[..., Any]
) -> None:
    began = asyncio.Event()

    async def wait(only_connection: Database) -> None:
        async with only_connection.transaction() as tx:
            await create_note(tx, key=1)
            began.set()
            await asyncio.Event().wait()

    async with Database(database_url, min_size=1, max_size=1) as only_connection:
        task = asyncio.create_task(wait(only_connection))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await only_connection.fetchval("select count(*) from notes") == 0
    assert await stored(db) == []


async def test_a_statement_that_is_cancelled_ends_its_transaction(
    db: Database, create_note: Callable[..., Any]
) -> None:
    with pytest.raises(StatementTimeout):
        async with db.transaction() as tx:
            await create_note(tx, key=1)
            await tx.fetchval("select pg_sleep(60)", timeout=0.01)

    assert await stored(db) == []


async def test_what_fails_at_commit_is_told_and_stores_nothing(db: Database, create_note: Callable[..., Any]) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        async with db.transaction() as tx:
            await create_note(tx, key=1)
            await create_note(tx, key=1)

    assert await stored(db) == []


async def test_each_transaction_of_a_connection_is_its_own(db: Database, create_note: Callable[..., Any]) -> None:
    async with db.acquire() as connection:
        with pytest.raises(KeyError):
            async with connection.transaction() as tx:
                await create_note(tx, key=1)
                raise KeyError
        assert not connection.is_in_transaction()
        await create_note(connection, key=2)
        async with connection.transaction() as tx:
            assert tx is connection
            await create_note(tx, key=3)
            assert await stored(db) == [2]

    assert await stored(db) == [2, 3]


# Savepoints


async def test_a_savepoint_undoes_only_what_happened_in_it(db: Database, create_note: Callable[..., Any]) -> None:
    async with db.transaction() as tx:
        await create_note(tx, key=1)
        with pytest.raises(KeyError):
            async with tx.transaction() as savepoint:
                await create_note(savepoint, key=2)
                raise KeyError
        async with tx.transaction() as savepoint:
            await create_note(savepoint, key=3)
        assert await stored(db) == []

    assert await stored(db) == [1, 3]


async def test_a_savepoint_makes_a_failed_statement_good(db: Database, create_note: Callable[..., Any]) -> None:
    async with db.transaction() as tx:
        await create_note(tx, key=1)
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with tx.transaction():
                await tx.fetchval("select 1 / 0")
        await create_note(tx, key=2)

    assert await stored(db) == [1, 2]


async def test_a_savepoint_goes_with_its_transaction(db: Database, create_note: Callable[..., Any]) -> None:
    with pytest.raises(KeyError):
        async with db.transaction() as tx:
            async with tx.transaction() as savepoint:
                await create_note(savepoint, key=1)
            raise KeyError

    assert await stored(db) == []


@pytest.mark.parametrize("options", [{"isolation": "serializable"}, {"readonly": True}, {"deferrable": True}])
async def test_a_savepoint_takes_no_options(
    db: Database, create_note: Callable[..., Any], options: dict[str, Any]
) -> None:
    async with db.transaction(**options) as tx:
        with pytest.raises(
            ValueError,
            match="a nested transaction is a savepoint and takes no isolation, readonly, deferrable or settings",
        ):
            async with tx.transaction(**options):
                pass
        assert await tx.fetchval("select 1") == 1


# Options


@pytest.mark.parametrize(
    ("isolation", "setting"),
    [
        ("read_committed", "read committed"),
        ("repeatable_read", "repeatable read"),
        ("serializable", "serializable"),
        (None, "repeatable read"),
    ],
)
async def test_a_transaction_has_the_isolation_asked_for_or_the_sessions(
    database_url: str, isolation: Any, setting: str
) -> None:
    settings = {"default_transaction_isolation": "repeatable read"}
    async with Database(database_url, min_size=1, server_settings=settings) as db:
        async with db.transaction(isolation=isolation) as tx:
            assert await tx.fetchval("select current_setting('transaction_isolation')") == setting
        async with db.acquire() as connection, connection.transaction(isolation=isolation):
            assert await connection.fetchval("select current_setting('transaction_isolation')") == setting


async def test_a_repeatable_read_does_not_see_what_is_committed_later(
    db: Database, create_note: Callable[..., Any]
) -> None:
    async with db.transaction() as fresh, db.transaction(isolation="repeatable_read") as frozen:
        counts = [await tx.fetchval("select count(*) from notes") for tx in (fresh, frozen)]
        await create_note(db, key=1)
        counts += [await tx.fetchval("select count(*) from notes") for tx in (fresh, frozen)]

    assert counts == [0, 0, 1, 0]


async def test_a_readonly_transaction_cannot_write(db: Database, create_note: Callable[..., Any]) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with db.transaction(readonly=True) as tx:
            assert await tx.fetchval("select current_setting('transaction_read_only')") == "on"
            await create_note(tx, key=1)

    await create_note(db, key=2)
    assert await stored(db) == [2]


async def test_a_transaction_is_deferrable_when_asked_to_be(db: Database) -> None:
    for deferrable, setting in ((True, "on"), (False, "off")):
        async with db.transaction(isolation="serializable", readonly=True, deferrable=deferrable) as tx:
            assert await tx.fetchval("select current_setting('transaction_deferrable')") == setting


async def test_an_unknown_isolation_is_refused_and_nothing_is_begun(db: Database) -> None:
    unknown: Any = "chaos"
    async with db.acquire() as connection:
        with pytest.raises(ValueError, match="chaos"):
            async with connection.transaction(isolation=unknown):
                pass
        assert not connection.is_in_transaction()


# Lost connections


async def pid(connection: Connection) -> int:
    return await connection.fetchval("select pg_backend_pid()")


async def test_a_connection_lost_before_begin_is_unavailable(db: Database, database_url: str, notes: None) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"^the connection was lost during BEGIN: "):
        async with db.acquire() as connection:
            kill(database_url, await pid(connection))
            async with connection.transaction():
                pytest.fail("this transaction cannot have begun")

    assert await stored(db) == []


async def test_a_connection_lost_at_commit_is_unknown(
    db: Database, database_url: str, create_note: Callable[..., Any]
) -> None:
    with pytest.raises((CommitUnknown, DatabaseUnavailable), match="COMMIT"):
        async with db.transaction() as tx:
            await create_note(tx, key=1)
            kill(database_url, await pid(tx))

    assert await stored(db) == []


@pytest.mark.parametrize("noticed", [False, True])
async def test_an_exception_on_a_lost_connection_stays_what_it_is(
    db: Database, database_url: str, create_note: Callable[..., Any], *, noticed: bool
) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with db.transaction() as tx:
            await create_note(tx, key=1)
            kill(database_url, await pid(tx))
            if noticed:
                with pytest.raises(DatabaseUnavailable, match="during create_note: "):
                    await create_note(tx, key=2)
            raise KeyError("mine")

    assert await stored(db) == []


async def test_a_rollback_that_fails_on_a_living_connection_is_told(db: Database, notes: None) -> None:
    with pytest.raises(asyncpg.InvalidSavepointSpecificationError):
        async with db.transaction() as tx:
            await tx.execute("savepoint mine")
            async with tx.transaction():
                await tx.execute("rollback to savepoint mine")
                raise KeyError

    assert await stored(db) == []


async def test_savepoints_that_follow_each_other_have_the_same_name(network: Network) -> None:
    async with Database(network.dsn, min_size=1) as db, db.transaction() as tx:
        for _ in range(2):
            async with tx.transaction(), tx.transaction():
                pass

    assert [sql for sql in network.statements if sql.startswith("savepoint")] == ["savepoint s1", "savepoint s2"] * 2


async def test_a_savepoint_that_is_undone_does_not_make_good_what_nobody_saw_the_end_of_before(
    network: Network, create_note: Callable[..., Any]
) -> None:
    async with Database(network.dsn, min_size=1) as db:
        with pytest.raises(TransactionAborted, match="StatementTimeout"):
            async with db.transaction() as tx:
                network.hold()
                with pytest.raises(StatementTimeout):
                    await create_note(tx.within(0.1), key=1)
                network.release()
                with pytest.raises(KeyError):
                    async with tx.transaction():
                        raise KeyError("mine")

        assert await db.fetchval("select count(*) from notes") == 0
