"""What binding costs, as ratios to the driver alone: interleaved rounds, the median of the ratios.

python -m benchmarks.binding postgresql://127.0.0.1/postgres [--rounds 9]
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import asyncpg

from app.db import Database, Executor, Queries
from app.db.rows import RowType

SQL = """
-- name: get_number
select :number::bigint + :other::bigint;
-- name: list_rows
select n as id, 'name ' || n as name, 'mail' as email, null::text as bio, n % 2 = 0 as even
from generate_series(1, 1000) as n;
-- name: stream_rows
select n as id, 'name ' || n as name, 'mail' as email, null::text as bio, n % 2 = 0 as even
from generate_series(1, 20000) as n;
-- name: copy_rows
copy bindery_benchmark (id, name, email, bio, even) from stdin;
"""
COLUMNS = ("id", "name", "email", "bio", "even")
COPIED = 100_000
Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Row:
    """A row as wide as most."""

    id: int
    name: str
    email: str
    bio: str | None
    even: bool


with tempfile.TemporaryDirectory() as _folder:
    _path = Path(_folder) / "benchmark.sql"
    _path.write_text(SQL, encoding="utf-8")
    queries = Queries(_path)


@queries.bind
async def get_number(db: Executor, *, number: int, other: int) -> int:
    """The sum."""
    ...


@queries.bind
async def list_rows(db: Executor) -> list[Row]:
    """A thousand rows."""
    ...


@queries.bind
def stream_rows(db: Executor) -> AbstractAsyncContextManager[AsyncIterator[Row]]:
    """Twenty thousand rows."""
    ...


@queries.bind
async def copy_rows(db: Executor, *, rows: Iterable[Row]) -> int:
    """Store the rows."""
    ...


async def seconds(work: Work, times: int) -> float:
    """How long it takes to do it so many times."""
    began = perf_counter()
    for _ in range(times):
        await work()
    return perf_counter() - began


async def report(name: str, ours: Work, theirs: Work, *, rounds: int, times: int) -> None:
    """Print the speed of ours as a ratio to theirs: over 1 is faster."""
    ratios: list[float] = []
    await seconds(ours, 1)
    for _ in range(rounds):
        ratios.append(await seconds(theirs, times) / await seconds(ours, times))
    print(f"{name:55} {statistics.median(ratios):5.2f}  ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)


async def measure(dsn: str, rounds: int) -> None:
    """Everything, one after the other."""
    async with Database(dsn, min_size=1, max_size=2) as db, db.acquire() as connection:
        driver = connection.driver
        statement = await driver.prepare(queries.statements["get_number"].text)
        query = queries.bound["get_number"]

        async def bound() -> None:
            await get_number(connection, number=1, other=2)

        async def untested() -> None:
            (await connection.run_query(query, (1, 2)))[0]

        async def raw() -> None:
            await statement.fetchrow(1, 2)

        await report("two tested arguments / the same without tests", bound, untested, rounds=rounds, times=1000)
        await report("a bound function / a prepared statement", bound, raw, rounds=rounds, times=1000)
        await measure_rows(connection, driver, rounds)
        await measure_copy(connection, driver, rounds)


async def measure_rows(db: Executor, driver: "asyncpg.Connection[asyncpg.Record]", rounds: int) -> None:
    """Building rows, and streaming them."""
    records = await driver.fetch(queries.statements["list_rows"].text)
    build = RowType(Row).list_builder(COLUMNS)

    async def ours() -> object:
        return build(records)

    async def by_init() -> object:
        return [Row(*record) for record in records]

    async def stream() -> None:
        async with stream_rows(db) as rows:
            async for _ in rows:
                pass

    async def cursor() -> None:
        async with driver.transaction():
            async for _ in driver.cursor(queries.statements["stream_rows"].text, prefetch=500):
                pass

    await report("1,000 rows / the dataclass's own __init__", ours, by_init, rounds=rounds, times=20)
    await report("20,000 rows of a stream / records of asyncpg's cursor", stream, cursor, rounds=rounds, times=1)


async def measure_copy(db: Executor, driver: "asyncpg.Connection[asyncpg.Record]", rounds: int) -> None:
    """Copying a hundred thousand rows."""
    await driver.execute("create temp table bindery_benchmark (id bigint, name text, email text, bio text, even bool)")
    rows = [Row(n, f"name {n}", "mail", None, n % 2 == 0) for n in range(COPIED)]
    tuples = [(row.id, row.name, row.email, row.bio, row.even) for row in rows]

    async def ours() -> None:
        await copy_rows(db, rows=rows)
        await driver.execute("truncate bindery_benchmark")

    async def theirs() -> None:
        await driver.copy_records_to_table("bindery_benchmark", columns=COLUMNS, records=tuples)
        await driver.execute("truncate bindery_benchmark")

    await report("copying 100,000 rows / ready tuples", ours, theirs, rounds=rounds, times=1)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What binding costs, as ratios to the driver alone.")
    parser.add_argument("dsn", help="any PostgreSQL; it only gets a temporary table")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    asyncio.run(measure(options.dsn, options.rounds))


if __name__ == "__main__":
    main()
