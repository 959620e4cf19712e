"""The client waits for as long as the server lets a statement run, whoever set that limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from app.db import Connection, Database, DatabaseUnavailable, Executor, Queries, StatementTimeout
from app.db.sql.statement_timeout import GRACE, answer_timeout, raised_answer_timeout

WAIT = "select 1 from pg_sleep(1.5)"


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [("60s", 60), ("60000", 60), ("1.5 s", 1.5), (" 2min ", 120), ("1h", 3600), ("1d", 86400), ("2500ms", 2.5),
     ("500000us", 0.5), (".5s", 0.5)],
)  # fmt: skip
def test_a_limit_has_postgresqls_units(duration: str, seconds: float) -> None:
    assert answer_timeout(duration) == seconds + GRACE


@pytest.mark.parametrize("duration", ["0", "0s", "0min"])
def test_no_limit_is_none(duration: str) -> None:
    assert answer_timeout(duration) is None


@pytest.mark.parametrize("duration", ["", "soon", "1 week", "-1", "1s2", "60S"])
def test_what_is_no_duration_is_refused(duration: str) -> None:
    with pytest.raises(ValueError, match="write a number of milliseconds, or one with a unit: us, ms, s, min, h or d"):
        answer_timeout(duration)


@pytest.mark.parametrize("setting", ["60s", "1min", "60000"])
async def test_a_limit_of_the_server_settings_counts(database_url: str, setting: str) -> None:
    async with Database(database_url, server_settings={"statement_timeout": setting}) as db:
        assert await db.fetchval("show statement_timeout") == "1min"


def test_a_limit_that_is_none_is_refused_when_the_database_is_made(database_url: str) -> None:
    with pytest.raises(ValueError, match="statement_timeout is 'soon'"):
        Database(database_url, server_settings={"statement_timeout": "soon"})


@pytest.mark.parametrize(
    ("sql", "seconds"),
    [
        ("set local statement_timeout = '60s'", 60 + GRACE),
        ("SET statement_timeout TO 60000", 60 + GRACE),
        ("set local statement_timeout = 1; set local statement_timeout = '2min'", 120 + GRACE),
        ("select set_config('statement_timeout', '60s', true)", 60 + GRACE),
        ("set local statement_timeout = '10ms'", 6.0),
        ("set local statement_timeout to default", 6.0),
        ("show statement_timeout", 6.0),
        ("set local statement_timeout = 0", None),
        ("select set_config('statement_timeout', $1, true)", None),
        ("select set_config($1, $2, true)", None),
    ],
)
def test_a_text_says_how_long_to_wait(sql: str, seconds: float | None) -> None:
    assert raised_answer_timeout(sql, 6.0) == seconds


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Settings with which a server counts as dead after half a second, unless the transaction says otherwise."""
    monkeypatch.setattr("app.db.sql.statement_timeout.GRACE", 0.2)
    return {"statement_timeout": 0.3, "keepalive": 0.05}


async def by_set(tx: Connection) -> None:
    await tx.execute("set local statement_timeout = '60s'")


async def by_config(tx: Connection) -> None:
    await tx.fetchval("select set_config('statement_timeout', $1, true)", "60s")


async def by_any_config(tx: Connection) -> None:
    await tx.fetchval("select set_config($1, $2, true)", "statement_timeout", "0")


@pytest.mark.parametrize("raise_limit", [by_set, by_config, by_any_config])
async def test_a_limit_that_a_transaction_raised_is_waited_for(
    database_url: str, brief: dict[str, float], raise_limit: Callable[[Connection], Awaitable[None]]
) -> None:
    async with Database(database_url, min_size=1, max_size=1, **brief) as db:  # pyright: ignore[reportArgumentType] - floats all
        async with db.transaction() as tx:
            await raise_limit(tx)
            assert await tx.fetchval(WAIT) == 1
        with pytest.raises((StatementTimeout, DatabaseUnavailable)):
            await db.fetchval(WAIT)


async def test_a_bound_statement_may_raise_it_as_well(
    database_url: str, brief: dict[str, float], write_queries: Callable[[str], Queries]
) -> None:
    queries = write_queries(f"""
        \n-- name: raise_limit
        select set_config('statement_timeout', '60s', true);
        \n-- name: wait
        {WAIT};
    """)

    @queries.bind
    async def raise_limit(db: Executor) -> str: ...
    @queries.bind
    async def wait(db: Executor) -> int: ...

    async with Database(database_url, min_size=1, **brief) as db, db.transaction() as tx:  # pyright: ignore[reportArgumentType] - floats all
        await raise_limit(tx)
        assert await wait(tx) == 1
