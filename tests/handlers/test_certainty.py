"""A client who hears "try again" can: nothing of the request was stored, wherever it broke."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from app.db import Database
from app.settings import Settings
from tests.handlers.people import Person
from tests.network import Network

# What writes, and what must be done before each time.
NEW = {"title": "Dragons", "description": "About", "body": "Text", "tagList": ["a", "b"]}
ACCOUNT = {"username": "cleo", "email": "cleo@example.com", "password": "cleo's password"}
WRITES: dict[str, tuple[str, str, Any, str]] = {
    "register": ("POST", "/api/users", {"user": ACCOUNT}, "delete from users where username = 'cleo'"),
    "update user": ("PUT", "/api/user", {"user": {"bio": "Text"}}, "update users set bio = null"),
    "follow": ("POST", "/api/profiles/ann/follow", None, "delete from follows"),
    "unfollow": (
        "DELETE", "/api/profiles/ann/follow", None,
        "insert into follows select a.id, b.id from users a, users b on conflict do nothing",
    ),
    "publish": ("POST", "/api/articles", {"article": NEW}, "delete from articles where title = 'Dragons'"),
    "update article": (
        "PUT", "/api/articles/{slug}", {"article": {"body": "Other", "tagList": ["c"]}},
        "update articles set body = 'Text'",
    ),
    "delete article": (
        "DELETE", "/api/articles/{slug}", None,
        "insert into articles (id, author_id, slug_words, title, description, body) overriding system value"
        " select 1, id, 'mine', 'T', 'D', 'B' from users where username = 'bob' on conflict do nothing",
    ),
    "favorite": ("POST", "/api/articles/{slug}/favorite", None, "delete from favorites"),
    "unfavorite": (
        "DELETE", "/api/articles/{slug}/favorite", None,
        "insert into favorites select users.id, articles.id from users, articles on conflict do nothing",
    ),
    "comment": ("POST", "/api/articles/{slug}/comments", {"comment": {"body": "Text"}}, "delete from comments"),
    "delete comment": (
        "DELETE", "/api/articles/{slug}/comments/1", None,
        "insert into comments (id, article_id, author_id, body) overriding system value"
        " select 1, 1, id, 'Text' from users where username = 'bob' on conflict do nothing",
    ),
}  # fmt: skip
TABLES = ("users", "follows", "articles", "article_tags", "favorites", "comments")
every_write = pytest.mark.parametrize("name", WRITES)


class CutNetwork(Network):
    """A network that breaks instead of delivering an answer: `left` are the answers it still delivers, None all."""

    left: int | None = None
    broke = False

    async def _gate(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.left, self.broke = None, True
            self.drop()


@pytest.fixture
async def network(database_url: str) -> AsyncIterator[CutNetwork]:
    async with CutNetwork(database_url) as network:
        yield network


@pytest.fixture
def settings(settings: Settings, network: CutNetwork) -> Settings:
    """One connection, and no test of it before it is lent."""
    one = {"db_pool_size": 1, "db_max_overflow": 0, "db_pool_pre_ping": False, "db_pool_timeout": 10.0}
    return settings.model_copy(update={"database_url": SecretStr(network.dsn), **one})


class Writer:
    """Sends one kind of change again and again as bob, and knows whether anything changed."""

    def __init__(self, bob: Person, db: Database, name: str) -> None:
        self._bob = bob
        self._db = db
        self._method, self._path, self._body, self._undo = WRITES[name]

    async def prepare(self) -> list[Any]:
        """Make the change possible again; what is stored before it."""
        await self._db.execute(WRITES["delete article"][3])
        await self._db.execute(self._undo)
        # The service's connection is there, and its answers are not counted.
        while (await self._bob.get("/api/tags")).status_code != 200:
            await asyncio.sleep(0.01)
        return await self.contents()

    async def send(self) -> httpx2.Response:
        """The answer to the change."""
        return await self._bob.request(self._method, self._path.format(slug="mine-1"), json=self._body)

    async def contents(self) -> list[Any]:
        """Every row there is."""
        return [await self._db.fetch(f"select * from {table} order by 1, 2") for table in TABLES]


@pytest.fixture
async def writer(ann: Person, bob: Person, db: Database, name: str) -> Writer:
    assert ann
    for table in ("articles", "comments"):
        # The first of each is written with its id.
        await db.execute(f"alter table {table} alter column id restart with 2")
    return Writer(bob, db, name)


@every_write
async def test_whichever_answer_of_the_database_is_lost_try_again_means_that_nothing_is_stored(
    writer: Writer, network: CutNetwork
) -> None:
    outcomes: list[tuple[int, bool, bool]] = []
    for answers in range(20):
        before = await writer.prepare()
        network.left, network.broke = answers, False
        answer = await writer.send()
        network.left = None
        changed = await writer.contents() != before
        if not network.broke:
            assert answer.status_code < 300, answer.text
            assert changed
            break
        outcomes.append((answer.status_code, "retry-after" in answer.headers, changed))
        assert not (changed and "retry-after" in answer.headers), outcomes
        # A read whose connection had died while it was idle is sent again.
        assert answer.status_code == 503 or (answer.status_code < 300 and changed), outcomes
    assert (503, False, True) in outcomes, "the answer to what was stored was never lost"


@every_write
@pytest.mark.parametrize("end", ["pg_terminate_backend", "pg_cancel_backend"])
async def test_whichever_table_it_waits_for_when_the_server_ends_it_try_again_means_that_nothing_is_stored(
    writer: Writer, db: Database, end: str
) -> None:
    waiting = (
        "select {}(pid) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        " and pid <> pg_backend_pid()"
    )
    for table in TABLES:
        before = await writer.prepare()
        async with db.transaction() as holder, db.acquire() as other:
            await holder.execute(f"lock table {table} in access exclusive mode")
            change = asyncio.create_task(writer.send())
            async with asyncio.timeout(30):
                # A read whose connection ended is sent again, and waits again.
                while not change.done():
                    await other.fetch(waiting.format(end))
                    await asyncio.sleep(0.01)
                answer = await change
        changed = await writer.contents() != before
        assert not (changed and "retry-after" in answer.headers), (table, answer.text)
        assert not (changed and answer.status_code == 504), (table, answer.text)
        assert changed == (answer.status_code < 300), (table, answer.text)
