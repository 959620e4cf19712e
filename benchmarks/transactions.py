"""What transaction() and run() cost, against BEGIN and COMMIT by hand around the same statement.

    python -m benchmarks.transactions --rounds 15 --seconds 0.4

In each round every contestant runs for a moment, in turn; what counts is the median of each round's ratios.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import uuid4

import asyncpg
import click
import uvloop

from app.db import Connection, Database, Executor, Queries
from app.embedded import EmbeddedPostgres

BAR = 0.9
TABLES = """
    create table people (id int primary key, name text not null);
    insert into people select n, 'person ' || n from generate_series(1, 1000) as n;
    create table commit_tokens (
        token uuid constraint commit_tokens_pkey primary key, created_at timestamptz not null default now()
    );
"""
Call = Callable[[], Awaitable[object]]


async def rate(call: Call, seconds: float) -> float:
    """Calls a second."""
    begin, count = perf_counter(), 0
    while perf_counter() - begin < seconds:
        await call()
        count += 1
    return count / (perf_counter() - begin)


async def play(calls: dict[str, Call], number: int, seconds: float) -> dict[str, float]:
    """The rates of one round, beginning with another contestant each time, since being first may cost something."""
    names = list(calls)
    first = number % len(names)
    return {name: await rate(calls[name], seconds) for name in names[first:] + names[:first]}


def contestants(db: Database, hand: "asyncpg.Connection[asyncpg.Record]", folder: Path) -> dict[str, Call]:
    """The same statement in a transaction, in each way; the first is the measure."""
    (folder / "people.sql").write_text("-- name: get_name\nselect name from people where id = :id;\n")
    queries = Queries(folder / "people.sql")

    @queries.bind
    async def get_name(db: Executor, *, id: int) -> str:  # noqa: A002 - the column's name
        ...

    async def work(tx: Connection) -> str:
        return await get_name(tx, id=5)

    async def by_hand() -> None:
        await hand.execute("begin")
        await hand.fetchrow("select name from people where id = $1", 5)
        await hand.execute("commit")

    async def by_transaction() -> None:
        async with db.transaction() as tx:
            await work(tx)

    return {
        "by hand": by_hand,
        "transaction()": by_transaction,
        "run()": lambda: db.run(work),
        "run(token=)": lambda: db.run(work, token=uuid4()),
    }


async def measure(dsn: str, folder: Path, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Rates by contestant, one for each round after the first, which warms up."""
    hand = await asyncpg.connect(dsn)
    try:
        await hand.execute(TABLES)
        async with Database(dsn, min_size=1, max_size=1) as db:
            calls = contestants(db, hand, folder)
            results = [await play(calls, number, seconds) for number in range(rounds + 1)]
    finally:
        await hand.close()
    return {name: [each[name] for each in results[1:]] for name in calls}


@click.command(help=__doc__)
@click.option("--rounds", default=15, show_default=True)
@click.option("--seconds", default=0.4, show_default=True, help="For each contestant in each round.")
def main(rounds: int, seconds: float) -> None:
    """Print rates and ratios."""
    with tempfile.TemporaryDirectory(prefix="bindery-") as name:
        server = EmbeddedPostgres(Path(name) / "postgres", keep=False)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                rates = runner.run(measure(server.start(), Path(name), rounds, seconds))
        finally:
            server.stop()
    for contestant, each in rates.items():
        ratio = median(mine / base for mine, base in zip(each, rates["by hand"], strict=True))
        click.echo(f"{contestant:15} {median(each):8,.0f}/s  ratio {ratio:.2f}  (bar {BAR}, token=: one more insert)")


if __name__ == "__main__":
    main()
