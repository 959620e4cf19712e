"""What the layer counts, and to whose account."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from app.db import WORK, Database, RepeatedStatement, StatementTimeout, Work, statements
from app.repositories import health

pytestmark = pytest.mark.one_loop


def counted(db: Database, name: str) -> tuple[int, int, dict[str, int]]:
    found = next(each for each in db.figures.all() if each.name == name)
    return found.calls, found.rows, dict(found.errors)


async def test_a_statement_is_counted_by_its_name_with_its_rows(db: Database) -> None:
    await health.delete_nothing(db)
    await health.delete_nothing(db)

    assert counted(db, "health.delete_nothing") == (2, 0, {})


async def test_the_steps_of_a_transaction_are_counted(db: Database) -> None:
    async with db.transaction() as tx:
        await health.delete_nothing(tx)
    with pytest.raises(KeyError):
        async with db.transaction():
            raise KeyError

    assert [counted(db, step)[0] for step in ("BEGIN", "COMMIT", "ROLLBACK")] == [2, 1, 1]


async def test_a_failure_is_counted_by_its_sqlstate_without_the_values_in_its_details(db: Database) -> None:
    await db.execute("create table t (secret text unique)")
    await db.execute("insert into t values ('open sesame')")

    with pytest.raises(asyncpg.UniqueViolationError):
        await db.execute("insert into t values ('open sesame')")

    [raw] = [each for each in db.figures.all() if each.name == "raw SQL"]
    assert raw.errors == {"23505": 1}
    assert raw.last_error is not None
    assert "duplicate key" in raw.last_error.message
    assert "sesame" not in raw.last_error.message


async def test_a_statement_that_is_stopped_counts_as_failed_and_with_its_time(db: Database) -> None:
    async with db.acquire() as connection:
        await connection.execute("set statement_timeout = 20")
        with pytest.raises(StatementTimeout):
            await connection.fetchval("select pg_sleep(9)")

    [raw] = [each for each in db.figures.all() if each.name == "raw SQL"]
    assert raw.errors == {"57014": 1}
    assert raw.seconds >= 0.02


async def test_raw_sql_that_is_cancelled_counts_as_failed(db: Database) -> None:
    task = asyncio.create_task(db.fetchval("select pg_sleep(9)"))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    [raw] = [each for each in db.figures.all() if each.name == "raw SQL"]
    assert raw.errors == {"CancelledError": 1}


async def test_a_row_that_cannot_be_built_is_one_run_that_failed(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await health.delete_nothing(db)

    def fail(*_: object) -> int:
        raise ValueError("no row")

    monkeypatch.setattr("app.db.session.prepared.rows_touched", fail)
    with pytest.raises(ValueError, match="no row"):
        await health.delete_nothing(db)

    assert counted(db, "health.delete_nothing") == (2, 0, {"ValueError": 1})


async def test_work_has_what_its_tasks_ran_and_nothing_else(db: Database) -> None:
    await health.delete_nothing(db)
    with Work() as work:
        await asyncio.gather(*(health.delete_nothing(db) for _ in range(3)))
        async with db.transaction() as tx:
            await tx.fetchval("select 1")
    await health.delete_nothing(db)

    assert work.statements == 4
    assert {figures.name: count for figures, count in work.counts.items()} == {"health.delete_nothing": 3, "raw SQL": 1}
    assert work.database_seconds > 0
    assert WORK.get() is None


async def test_work_has_the_wait_for_a_connection(db: Database) -> None:
    with Work() as work:
        async with db.acquire():
            pass
        async with asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(db.fetchval("select pg_sleep(0.01)"))

    assert work.wait_seconds >= 0.01


async def test_a_statement_that_is_repeated_too_often_is_a_warning_that_names_it_and_the_place(db: Database) -> None:
    with Work("ListBooks", most_alike=3):
        for _ in range(3):
            await health.delete_nothing(db)
        with pytest.warns(RepeatedStatement, match=r"ListBooks has run health\.delete_nothing .*test_figures\.py:\d+"):
            await health.delete_nothing(db)


async def test_expected_statements_may_run_in_any_order_but_no_others_may(db: Database) -> None:
    with statements("raw SQL", "health.delete_nothing"):
        await health.delete_nothing(db)
        await db.fetchval("select 1")
    twice = r"these statements ran: health\.delete_nothing, health\.delete_nothing; expected: health\.delete_nothing"
    with pytest.raises(AssertionError, match=twice), statements("health.delete_nothing"):
        await health.delete_nothing(db)
        await health.delete_nothing(db)


async def test_a_slow_statement_is_told(db: Database) -> None:
    told: list[str] = []
    db.figures.watch_slow(0.0, lambda figures, seconds: told.append(figures.name))
    await health.delete_nothing(db)
    await db.fetchval("select 1")

    assert told == ["health.delete_nothing"]


async def test_who_holds_a_connection_is_known(db: Database) -> None:
    async with db.transaction() as tx:
        await health.delete_nothing(tx)
        pid = tx.driver.get_server_pid()
        await health.delete_nothing(tx)
        [lease] = db.leases()

    assert (lease.pid, lease.in_transaction, lease.running) == (pid, True, "delete_nothing")
    assert "test_figures.py:" in lease.place
