"""What the layer takes from asyncpg's prepared statements past their public methods: each version has to have it."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg
import pytest

from app.db import Database, Executor, Queries
from app.db.session.prepared import rows_touched


async def test_a_statement_is_sent_as_the_driver_sends_it(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        statement = await connection.prepare("select n, 'x' || n from generate_series(1, $1::int) as n")
        records, tag, complete = await connection._protocol.bind_execute(statement._state, (3,), "", 0, True, None)

        assert records == await statement.fetch(3)
        assert (tag.decode(), complete) == (statement.get_statusmsg(), True)
    finally:
        await connection.close()


async def test_the_deadline_of_one_statement_is_the_drivers(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        statement = await connection.prepare("select 1 from pg_sleep($1::float8)")
        with pytest.raises(TimeoutError):
            await connection._protocol.bind_execute(statement._state, (60,), "", 0, True, 0.05)

        assert await connection.fetchval("select 2") == 2
    finally:
        await connection.close()


async def test_a_statement_without_rows_tells_how_many_it_touched(
    db: Database, write_queries: Callable[[str], Queries]
) -> None:
    await db.execute("create table tags (name text)")
    queries = write_queries(
        "-- name: create_tags\ninsert into tags (name) select 'tag ' || n from generate_series(1, :count::int) n;\n"
    )

    @queries.bind
    async def create_tags(db: Executor, *, count: int) -> int: ...

    assert await create_tags(db, count=3) == 3


@pytest.mark.parametrize(("tag", "number"), [("UPDATE 3", 3), ("INSERT 0 12", 12), ("CREATE TABLE", 0), ("", 0)])
def test_a_command_tag_ends_with_the_number_of_rows(tag: str, number: int) -> None:
    assert rows_touched(tag) == number
