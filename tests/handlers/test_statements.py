"""How many statements each operation sends to PostgreSQL, counted on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from app.db import Database
from app.settings import Settings
from tests.network import Network
from tests.people import Person

Article = dict[str, Any]


@pytest.fixture
async def network(database_url: str) -> AsyncIterator[Network]:
    async with Network(database_url) as network:
        yield network


@pytest.fixture
def settings(settings: Settings, network: Network) -> Settings:
    """One connection, so that what it prepared for one request is there for the next."""
    return settings.model_copy(update={"database_url": SecretStr(network.dsn), "db_pool_size": 1, "db_max_overflow": 0})


async def add_more(db: Database) -> None:
    """Thirty more articles, and tags, favorites and comments on every article."""
    await db.execute("""
        insert into articles (author_id, slug, title, description, body)
        select id, username || '-' || n, 'More', 'About', 'Text' from users, generate_series(1, 15) as n;
        insert into article_tags (article_id, tag)
        select id, tag from articles, unnest(array['dragons', 'a', 'b', 'c']) as tag on conflict do nothing;
        insert into favorites (user_id, article_id)
        select users.id, articles.id from users, articles on conflict do nothing;
        insert into comments (article_id, author_id, body)
        select articles.id, users.id, n::text from articles, users, generate_series(1, 10) as n;
    """)


async def sent(network: Network, request: Callable[[], Awaitable[httpx2.Response]]) -> list[str]:
    """The statements of a request, after it was made once before."""
    for _ in range(2):
        network.statements.clear()
        answer = await request()
        assert answer.status_code < 300, answer.text
    return list(network.statements)


READS = {
    "/api/user": 1,
    "/api/users": 1,
    "/api/profiles/ann": 1,
    "/api/tags": 1,
    "/api/articles": 2,
    "/api/articles?limit=1": 2,
    "/api/articles?offset=1": 2,
    "/api/articles?tag=dragons": 2,
    "/api/articles?author=ann": 2,
    "/api/articles?favorited=bob": 2,
    "/api/articles?tag=dragons&author=ann&favorited=bob": 2,
    "/api/articles/feed": 2,
    "/api/articles/{slug}": 1,
    "/api/articles/{slug}/comments": 2,
}


@pytest.mark.parametrize(("path", "most"), READS.items())
async def test_reading_takes_the_same_few_statements_for_one_row_and_for_many(
    bob: Person, article: Article, db: Database, network: Network, path: str, most: int
) -> None:
    address = path.format(slug=article["slug"])
    await bob.favorites(article)
    await bob.post("/api/profiles/ann/follow")
    await bob.comments(article)
    few = await sent(network, lambda: bob.get(address))

    await add_more(db)
    many = await sent(network, lambda: bob.get(address))

    assert 1 <= len(few) <= most, few
    assert len(many) <= most, many


@pytest.mark.parametrize("path", [path for path in READS if not path.endswith(("/user", "/feed"))])
async def test_a_stranger_costs_no_more_than_a_viewer(
    client: httpx2.AsyncClient, article: Article, network: Network, path: str
) -> None:
    statements = await sent(network, lambda: client.get(path.format(slug=article["slug"])))

    assert 1 <= len(statements) <= READS[path], statements
