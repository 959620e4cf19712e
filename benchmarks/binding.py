"""What binding costs: tests of arguments, rows, streams and bulk."""

import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from app.db import Connection, Database, Executor, Queries
from app.db.binding.row_type import RowType
from benchmarks.contest import Contest, Ratio

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


@asynccontextmanager
async def contests(dsn: str, _: Path) -> AsyncGenerator[list[Contest]]:
    """One contest for each thing that binding does."""
    async with Database(dsn, min_size=1, max_size=2) as db, db.acquire() as connection:
        driver = connection.driver
        yield [
            await tests_of_arguments(connection),
            await building_rows(driver),
            streams(connection, driver),
            await bulk(connection, driver),
        ]


async def tests_of_arguments(connection: Connection) -> Contest:
    """A call with two strict arguments, with and without their tests."""
    query = queries.bound["get_number"]

    async def tested() -> None:
        await get_number(connection, number=1, other=2)

    async def untested() -> None:
        (await connection.run_query(query, (1, 2)))[0]

    return Contest(
        "one value, two strict arguments",
        {"tested": [tested], "not tested": [untested]},
        [Ratio("tested", "not tested")],
    )


async def building_rows(driver: "asyncpg.Connection[asyncpg.Record]") -> Contest:
    """A thousand records that are there already, made into rows."""
    records = await driver.fetch(queries.statements["list_rows"].text)
    build = RowType(Row).list_builder(COLUMNS)

    async def ours() -> object:
        return build(records)

    async def by_init() -> object:
        return [Row(*record) for record in records]

    name = "the dataclass's own __init__"
    return Contest("1,000 records to rows", {"compiled": [ours], name: [by_init]}, [Ratio("compiled", name)])


def streams(db: Executor, driver: "asyncpg.Connection[asyncpg.Record]") -> Contest:
    """Twenty thousand rows, fetched while they are consumed."""

    async def stream() -> None:
        async with stream_rows(db) as rows:
            async for _ in rows:
                pass

    async def cursor() -> None:
        async with driver.transaction():
            async for _ in driver.cursor(queries.statements["stream_rows"].text, prefetch=500):
                pass

    name = "asyncpg's cursor, records"
    return Contest("20,000 rows of a stream", {"rows": [stream], name: [cursor]}, [Ratio("rows", name)])


async def bulk(db: Executor, driver: "asyncpg.Connection[asyncpg.Record]") -> Contest:
    """A hundred thousand rows into a table."""
    await driver.execute("create temp table bindery_benchmark (id bigint, name text, email text, bio text, even bool)")
    rows = [Row(n, f"name {n}", "mail", None, n % 2 == 0) for n in range(COPIED)]
    tuples = [(row.id, row.name, row.email, row.bio, row.even) for row in rows]

    async def ours() -> None:
        await copy_rows(db, rows=rows)
        await driver.execute("truncate bindery_benchmark")

    async def theirs() -> None:
        await driver.copy_records_to_table("bindery_benchmark", columns=COLUMNS, records=tuples)
        await driver.execute("truncate bindery_benchmark")

    name = "copy_records_to_table(), ready tuples"
    return Contest("100,000 rows by COPY", {"bound copy": [ours], name: [theirs]}, [Ratio("bound copy", name, 0.7)])
