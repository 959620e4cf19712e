"""A small table for the tests of transactions, and what is bound to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from app.db import Database, Executor, Queries

WAITING_COMMIT = """
    create function wait() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock_shared(1); return null; end $$;
    create constraint trigger waiting after insert on entries deferrable initially deferred
    for each row execute function wait();
"""
COMMITTING = "from pg_stat_activity where datname = current_database() and query = 'commit' and state = 'active'"

queries = Queries(Path(__file__).with_suffix(".sql"), resource="entry", conflicts={"entries_pkey": "id"})


@queries.bind
async def add_entry(db: Executor, *, id: int, amount: int) -> None:  # noqa: A002 - the column's name
    """Conflict("id") when it is there already."""
    ...


@queries.bind
async def find_amount(db: Executor, *, id: int) -> int | None:  # noqa: A002 - the column's name
    """The amount, or None."""
    ...


@queries.bind
async def wait_and_count(db: Executor, *, seconds: float) -> int:
    """Slow on purpose."""
    ...


async def create_entries(db: Database) -> None:
    """The table, empty."""
    await db.execute("create table entries (id int constraint entries_pkey primary key, amount int not null)")


async def stored(db: Database) -> list[int]:
    """The ids of the entries."""
    return [row[0] for row in await db.fetch("select id from entries order by id")]


@asynccontextmanager
async def held_commits(db: Database) -> AsyncGenerator[None]:
    """In the block, whoever added an entry gets no further than COMMIT; after it, the commit goes on."""
    await db.execute(WAITING_COMMIT)
    async with db.transaction() as holder:
        await holder.execute("select pg_advisory_xact_lock(1)")
        yield


async def until_committing(db: Database) -> None:
    """Wait until a session is in COMMIT."""
    async with asyncio.timeout(30):
        while not await db.fetchval(f"select count(*) {COMMITTING}"):
            await asyncio.sleep(0.01)


async def end_commits(db: Database) -> int:
    """End the sessions that are in COMMIT, from the server's side; how many those were."""
    return len(await db.fetch(f"select pg_terminate_backend(pid) {COMMITTING}"))
