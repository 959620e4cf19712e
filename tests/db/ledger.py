"""A small table for the tests of transactions, and what is bound to it."""

from __future__ import annotations

from pathlib import Path

from app.db import Database, Executor, Queries

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
