"""What the layer costs: one indexed row through it, by a dedicated connection, and by asyncpg's own pool.

    python -m benchmarks.layer --rounds 15 --seconds 0.5

An embedded PostgreSQL 18 answers over its Unix socket. In each round every contestant runs for a moment, in turn, so
that whatever else the machine does meets all of them; what counts is the median of each round's ratios.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import asyncpg
import click
import uvloop
from rich.console import Console
from rich.table import Table

from app.db import Database, Executor, Queries
from app.embedded import EmbeddedPostgres

CONNECTIONS = 10
CONCURRENCY = 32
SQL = "select id, name from people where id = {}"
BARS = {"connection": 0.85, "asyncpg.Pool": 2.5}

Call = Callable[[], Awaitable[object]]
Rates = dict[str, float]


@dataclass(frozen=True, slots=True)
class Person:
    """One row."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Contest:
    """Who runs against whom at one concurrency: a list of calls each, one for each task."""

    concurrency: int
    contestants: dict[str, list[Call]]


async def rate(calls: list[Call], seconds: float) -> float:
    """How many calls a second these tasks make together."""
    begin = perf_counter()

    async def repeat(call: Call) -> int:
        count = 0
        while perf_counter() - begin < seconds:
            await call()
            count += 1
        return count

    counts = await asyncio.gather(*map(repeat, calls))
    return sum(counts) / (perf_counter() - begin)


async def play(contest: Contest, rounds: int, seconds: float) -> list[Rates]:
    """The rates of each round; the first one, which warms up, is left out."""
    results = [
        {name: await rate(calls, seconds) for name, calls in contest.contestants.items()} for _ in range(rounds + 1)
    ]
    return results[1:]


def bound_function(folder: Path) -> Callable[[Database], Awaitable[Person]]:
    """The statement as a program would have it: in a file, bound to a function."""
    (folder / "people.sql").write_text(f"-- name: get_person\n{SQL.format(':id')};\n")
    queries = Queries(folder / "people.sql")

    @queries.bind
    async def get_person(db: Executor, *, id: int) -> Person:  # noqa: A002 - the column's name
        ...

    return lambda db: get_person(db, id=5)


def contests(
    db: Database, pool: "asyncpg.Pool[asyncpg.Record]", dedicated: list["asyncpg.Connection[asyncpg.Record]"], get: Call
) -> list[Contest]:
    """One task, and many tasks against as many connections as the pool has."""
    sql = SQL.format("$1")
    by_connection: list[Call] = [lambda connection=connection: connection.fetchrow(sql, 5) for connection in dedicated]
    by_pool: Call = lambda: pool.fetchrow(sql, 5)  # noqa: E731 - one of three alike
    return [
        Contest(1, {"bindery": [get], "connection": by_connection[:1], "asyncpg.Pool": [by_pool]}),
        Contest(
            CONCURRENCY,
            {"bindery": [get] * CONCURRENCY, "connection": by_connection, "asyncpg.Pool": [by_pool] * CONCURRENCY},
        ),
    ]


def table_of(results: list[tuple[Contest, list[Rates]]]) -> Table:
    """Medians of rates, and of the ratios within each round."""
    table = Table("concurrency", "by", "calls/s", "ratio", "bar", title="one indexed row, mapped to its dataclass")
    for contest, rounds in results:
        for name in contest.contestants:
            ratio = median(each["bindery"] / each[name] for each in rounds)
            bar = BARS.get(name)
            table.add_row(
                str(contest.concurrency),
                name,
                f"{median(each[name] for each in rounds):,.0f}",
                f"{ratio:.2f}" if bar else "",
                f"{bar} {'reached' if ratio >= bar else 'missed'}" if bar else "",
            )
    return table


async def run(dsn: str, folder: Path, rounds: int, seconds: float) -> Table:
    """The whole benchmark on this server."""
    get_person = bound_function(folder)
    dedicated = [await asyncpg.connect(dsn) for _ in range(CONNECTIONS)]
    await dedicated[0].execute("create table people (id int primary key, name text not null)")
    await dedicated[0].execute("insert into people select id, 'person ' || id from generate_series(1, 1000) id")
    await dedicated[0].execute("vacuum analyze people")
    async with (
        Database(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as db,
        asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool,
    ):
        played = contests(db, pool, dedicated, lambda: get_person(db))
        table = table_of([(contest, await play(contest, rounds, seconds)) for contest in played])
    await asyncio.gather(*(connection.close() for connection in dedicated))
    return table


@click.command(help=__doc__)
@click.option("--rounds", default=15, show_default=True, help="How often each contestant runs.")
@click.option("--seconds", default=0.5, show_default=True, help="How long it runs each time.")
def main(rounds: int, seconds: float) -> None:
    """Print a table of rates and ratios."""
    with tempfile.TemporaryDirectory(prefix="bindery-") as name:
        folder = Path(name)
        with EmbeddedPostgres(folder / "postgres", keep=False) as dsn:
            Console().print(uvloop.run(run(dsn, folder, rounds, seconds)))


if __name__ == "__main__":
    main()
