"""What transaction() and run() cost, against BEGIN and COMMIT by hand around the same statement."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg

from app.db import Connection, Database, Executor, Queries
from benchmarks.contest import Contest, Ratio

# At most ten hundredths more time.
BAR = 1 / 1.1
BY_HAND = "BEGIN, fetchrow(), COMMIT"
TABLES = """
    create table names (id int primary key, name text not null);
    insert into names select n, 'person ' || n from generate_series(1, 1000) as n;
    analyze names;
    create table commit_tokens (
        token uuid constraint commit_tokens_pkey primary key, created_at timestamptz not null default now()
    );
"""


@asynccontextmanager
async def contests(dsn: str, folder: Path) -> AsyncGenerator[list[Contest]]:
    """The same statement in a transaction, in each way. With a token there is one insert more."""
    (folder / "names.sql").write_text("-- name: get_name\nselect name from names where id = :id;\n")
    queries = Queries(folder / "names.sql")

    @queries.bind
    async def get_name(db: Executor, *, id: int) -> str:  # noqa: A002 - the column's name
        ...

    async def work(tx: Connection) -> str:
        return await get_name(tx, id=5)

    hand = await asyncpg.connect(dsn)
    await hand.execute(TABLES)

    async def by_hand() -> None:
        await hand.execute("begin")
        await hand.fetchrow("select name from names where id = $1", 5)
        await hand.execute("commit")

    async with Database(dsn, min_size=1, max_size=1) as db:

        async def by_transaction() -> None:
            async with db.transaction() as tx:
                await work(tx)

        yield [
            Contest(
                "one row in a transaction",
                {
                    BY_HAND: [by_hand],
                    "transaction()": [by_transaction],
                    "run()": [lambda: db.run(work)],
                    "run(token=)": [lambda: db.run(work, token=uuid4())],
                },
                [
                    Ratio("transaction()", BY_HAND, round(BAR, 2)),
                    Ratio("run()", BY_HAND, round(BAR, 2)),
                    Ratio("run(token=)", BY_HAND),
                ],
            )
        ]
    await hand.close()
