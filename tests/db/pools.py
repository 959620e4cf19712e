"""What the tests of the pool share: small statements of their own, and waiting for something to become true."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.db import Database, Executor, Queries

STATEMENTS = """
-- name: get_number
select :number::int;

-- name: get_pid
select pg_backend_pid();

-- name: list_series
select n from generate_series(1, :number::int) as n;

-- name: stream_series
select n from generate_series(1, :number::int) as n;

-- name: sleep
select 1 from pg_sleep(:seconds::float8);

-- name: wait_for_turn
select 1 from pg_advisory_xact_lock(1);

-- name: set_lock_timeout
select set_config('lock_timeout', :value, false);

-- name: add_note
insert into notes (body) values (:body) returning body;

-- name: update_notes
update notes set body = :body;
"""


def _load() -> Queries:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "numbers.sql"
        path.write_text(STATEMENTS)
        return Queries(path, harmless={"pg_backend_pid"})


queries = _load()


@queries.bind
async def get_number(db: Executor, *, number: int) -> int: ...


@queries.bind
async def get_pid(db: Executor) -> int: ...


@queries.bind
async def list_series(db: Executor, *, number: int) -> list[int]: ...


@queries.bind
def stream_series(db: Executor, *, number: int) -> AbstractAsyncContextManager[AsyncIterator[int]]: ...


@queries.bind
async def sleep(db: Executor, *, seconds: float) -> int: ...


@queries.bind
async def wait_for_turn(db: Executor) -> int: ...


@queries.bind
async def set_lock_timeout(db: Executor, *, value: str) -> str: ...


@queries.bind
async def add_note(db: Executor, *, body: str) -> str: ...


@queries.bind
async def update_notes(db: Executor, *, body: str) -> int: ...


@asynccontextmanager
async def pool(dsn: str, **settings: Any) -> AsyncGenerator[Database]:
    """A pool of one connection, or of the size in `settings`."""
    sizes: dict[str, Any] = {"min_size": 1, "max_size": 1}
    async with Database(dsn, **sizes | settings) as db:
        yield db


async def until(condition: Callable[[], object], *, seconds: float = 20) -> None:
    """Wait until `condition()` is true; fail when it is still false after so many seconds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def until_waiting(db: Database, number: int) -> None:
    """Wait until so many tasks wait for a connection."""
    await until(lambda: db.statistics().waiting == number)


async def until_idle(db: Database) -> None:
    """Wait until nothing is lent, reset, tested, opened or kept back."""
    await until(lambda: not db.statistics().opening and db.statistics().idle == db.statistics().size)


def most_within_a_second(moments: list[float]) -> int:
    """Return how many of the moments, in order, lie within a second, at most."""
    return max((bisect_left(moments, begin + 1) - number for number, begin in enumerate(moments)), default=0)
