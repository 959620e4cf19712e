"""A server that lacks room, or ended a session that did nothing: clients may try again, and nothing was stored."""

from __future__ import annotations

import time
from typing import Any

import pytest
from starlette.applications import Starlette

from app.db import Database
from app.settings import Settings
from tests.databases import end_other_sessions
from tests.documented import fields_at_fault
from tests.handlers.people import Person

ARTICLE = {"article": {"title": "T", "description": "D", "body": "B"}}
# What makes the kernel, and then the server, refuse.
LACKS = {
    "53100": "copy (select repeat('x', 100000)) to '/dev/full'",
    "53400": "perform n from generate_series(1, 100000) as n order by n desc offset 99999",
}


async def lack(db: Database, code: str) -> None:
    """Have the server run out of something with each new article, at its COMMIT."""
    await db.execute(
        "create function lack() returns trigger language plpgsql security definer"
        f" set temp_file_limit = '64kB' set work_mem = '64kB' as $$begin {LACKS[code]}; return null; end$$;"
        "create constraint trigger lack after insert on articles initially deferred"
        " for each row execute function lack()"
    )


@pytest.mark.parametrize("code", list(LACKS))
async def test_a_write_that_the_server_lacks_the_room_for_is_refused_and_not_stored(
    app: Starlette, ann: Person, db: Database, code: str
) -> None:
    await lack(db, code)
    for _ in range(8):
        refused = await ann.post("/api/articles", ARTICLE)
        assert fields_at_fault(refused) == (503, {"database"})
        assert int(refused.headers["retry-after"]) > 0
    statistics = app.state.database.statistics()
    assert (statistics.in_use, dict(statistics.evictions)) == (0, {})

    assert await db.fetchval("select count(*) from articles") == 0
    await db.execute("drop trigger lack on articles")
    assert (await ann.writes("T"))["title"] == "T"


class TestStrictServer:
    """With a server that ends each session after a tenth of a second without a statement, and a pool of one."""

    @pytest.fixture
    async def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"db_pool_size": 1, "db_max_overflow": 0, "db_pool_pre_ping": False})

    async def test_a_write_is_stored_or_may_be_tried_again(
        self, app: Starlette, ann: Person, article: dict[str, Any], db: Database
    ) -> None:
        path = f"/api/articles/{article['slug']}/comments"
        name = await db.fetchval("select current_database()")
        await db.execute(f"alter database \"{name}\" set idle_session_timeout = '100ms'")
        await end_other_sessions(db)
        stored = 0
        for _ in range(5):
            # The limit passes, and the news of it comes together with the next request.
            time.sleep(0.3)
            answer = await ann.post(path, {"comment": {"body": "B"}})
            stored += answer.is_success
            assert answer.is_success or int(answer.headers["retry-after"]) > 0
        assert await db.fetchval("select count(*) from comments") == stored > 0
        assert app.state.database.statistics().in_use == 0
