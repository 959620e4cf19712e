"""The figures of pg_stat_statements by the names of statements, on a server that has the extension."""

from __future__ import annotations

import pytest

from app.db import Database
from app.monitor.extension import list_statement_figures
from app.monitor.server import Server
from app.repositories import health
from tests.debian.databases import direct_url

__all__ = ["direct_url"]

pytestmark = pytest.mark.debian
TABLE = "create table commit_tokens (token uuid)"


async def test_calls_are_added_up_by_the_name_at_the_end_of_the_text(database_url: str) -> None:
    async with Database(database_url, min_size=1, max_size=1) as db:
        assert await list_statement_figures(db) is None
        await db.execute("create extension pg_stat_statements")
        await db.execute(TABLE)
        for _ in range(3):
            await health.delete_nothing(db)

        figures = await list_statement_figures(db)

    assert figures is not None
    [found] = [each for each in figures if each.name == "health.delete_nothing"]
    assert (found.calls, found.rows) == (3, 0)
    assert found.mean_ms > 0


async def test_the_monitor_asks_an_older_server_as_well(database_url: str) -> None:
    db = Database(database_url, min_size=1, max_size=1)
    server = Server(db)
    state = await server.state(detailed=True)
    await server.close()

    assert state.error == ""
    assert state.database is not None
    assert state.database.version_number // 10_000 == 15
