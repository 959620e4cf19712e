"""One indexed row, mapped to its dataclass: through the pool, by dedicated connections, and by asyncpg's own pool."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from app.db import Database, Executor, Queries
from benchmarks.contest import Call, Contest, Ratio

CONNECTIONS = 10
CONCURRENCY = 32
SQL = "select id, name from people where id = {}"
OURS, CONNECTION, POOL = "bound function", "dedicated connections", "asyncpg.Pool"
TABLE = """
    create table people (id int primary key, name text not null);
    insert into people select id, 'person ' || id from generate_series(1, 1000) id;
    analyze people;
"""


@dataclass(frozen=True, slots=True)
class Person:
    """One row."""

    id: int
    name: str


def bound_function(folder: Path) -> Callable[[Executor], Awaitable[Person]]:
    """The statement as a program would have it: in a file, bound to a function."""
    (folder / "people.sql").write_text(f"-- name: get_person\n{SQL.format(':id')};\n")
    queries = Queries(folder / "people.sql")

    @queries.bind
    async def get_person(db: Executor, *, id: int) -> Person:  # noqa: A002 - the column's name
        ...

    return lambda db: get_person(db, id=5)


@asynccontextmanager
async def contests(dsn: str, folder: Path) -> AsyncGenerator[list[Contest]]:
    """One task, and many tasks against as many connections as the pool has."""
    get_person = bound_function(folder)
    dedicated = [await asyncpg.connect(dsn) for _ in range(CONNECTIONS)]
    await dedicated[0].execute(TABLE)
    sql = SQL.format("$1")
    by_connection: list[Call] = [lambda connection=connection: connection.fetchrow(sql, 5) for connection in dedicated]
    async with (
        Database(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as db,
        asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool,
    ):
        ratios = [Ratio(OURS, CONNECTION, 0.85), Ratio(OURS, POOL, 2.5), Ratio(CONNECTION, POOL)]
        ours: Call = lambda: get_person(db)  # noqa: E731 - one of three alike
        theirs: Call = lambda: pool.fetchrow(sql, 5)  # noqa: E731 - one of three alike
        yield [
            Contest(
                f"one row, {tasks} at a time",
                {OURS: [ours] * tasks, CONNECTION: by_connection[:tasks], POOL: [theirs] * tasks},
                ratios,
            )
            for tasks in (1, CONCURRENCY)
        ]
    await asyncio.gather(*(connection.close() for connection in dedicated))
