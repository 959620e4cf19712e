"""What happens to the server while it reads a statement, its arguments or rows is no mistake in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

import asyncpg
import pytest

from app.db import Connection, Database, Executor, Queries, is_server_unfit
from app.db.session.outdated import is_fault_of_text
from tests.db.pools import add_note

pytestmark = pytest.mark.one_loop


@pytest.fixture
async def holder(db: Database) -> AsyncIterator[Connection]:
    """A transaction that has locked the table of add_note()."""
    await db.execute("create table notes (body text)")
    async with db.transaction() as holder:
        await holder.execute("lock table notes")
        yield holder


async def test_a_lock_that_is_held_is_not_told_as_a_mistake_in_the_text(db: Database, holder: Connection) -> None:
    with pytest.raises(asyncpg.LockNotAvailableError):
        async with db.transaction() as tx:
            await tx.execute("set local lock_timeout = '50ms'")
            await add_note(tx, body="a")

    assert await add_note(holder, body="b") == "b"


LACKS = """
create function lack() returns boolean language plpgsql as $$begin raise out_of_memory; end$$;
create domain roomy as text check (lack());
create table boxes (label roomy);
"""
BOXES = """
-- name: add_box
insert into boxes (label) values (:label);

-- name: copy_boxes
copy boxes (label) from stdin;
"""


@dataclass(frozen=True, slots=True)
class Box:
    label: str


async def test_a_lack_of_memory_is_not_told_as_a_mistake_in_an_argument_or_a_row(
    db: Database, write_queries: Callable[[str], Queries]
) -> None:
    await db.execute(LACKS)
    queries = write_queries(BOXES)

    @queries.bind
    async def add_box(db: Executor, *, label: str) -> None: ...

    @queries.bind
    async def copy_boxes(db: Executor, *, rows: Iterable[Box]) -> int: ...

    with pytest.raises(asyncpg.OutOfMemoryError) as of_argument:
        await add_box(db, label="a")
    with pytest.raises(asyncpg.OutOfMemoryError) as of_row:
        await copy_boxes(db, rows=[Box("a")])

    assert "portal parameter $1" in (of_argument.value.context or "")
    assert "COPY boxes, line 1" in (of_row.value.context or "")


@pytest.mark.parametrize(
    ("code", "is_fault"),
    [("22P02", True), ("0A000", True), ("42601", True), ("53200", False), ("53100", False), ("57P01", False)],
)
def test_errors_with_a_position_are_told_apart_by_their_code(code: str, *, is_fault: bool) -> None:
    error = asyncpg.PostgresError.new({"C": code, "M": "out of memory", "P": "6", "S": "ERROR"})

    assert is_fault_of_text(error) == is_fault
    assert is_server_unfit(error) == code.startswith("53")
