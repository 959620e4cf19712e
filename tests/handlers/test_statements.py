"""How many statements each operation sends to PostgreSQL, counted on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from app.db import Database
from app.settings import Settings
from tests.handlers.people import Person
from tests.network import Network
from tests.pgbouncer import is_in_between

Article = dict[str, Any]


@pytest.fixture
async def network(database_url: str) -> AsyncIterator[Network]:
    async with Network(database_url) as network:
        yield network


@pytest.fixture
def settings(settings: Settings, network: Network) -> Settings:
    """One connection, so that what it prepared for one request is there for the next."""
    one = {"db_pool_size": 1, "db_max_overflow": 0, "db_pool_pre_ping": False}
    return settings.model_copy(update={"database_url": SecretStr(network.dsn), **one})


async def add_more(db: Database) -> None:
    """Thirty more articles, and tags, favorites and comments on every article."""
    await db.execute("""
        insert into articles (author_id, slug_words, title, description, body)
        select id, 'more', 'More', 'About', 'Text' from users, generate_series(1, 15) as n;
        update articles set tags = array['a', 'b', 'c', 'dragons'];
        insert into favorites (user_id, article_id)
        select users.id, articles.id from users, articles on conflict do nothing;
        insert into comments (article_id, author_id, body)
        select articles.id, users.id, n::text from articles, users, generate_series(1, 10) as n;
    """)


async def sent(network: Network, reader: Person, method: str, path: str, body: Any = None) -> list[str]:
    """The statements of a request, without the transaction that each is in behind a PgBouncer."""
    network.statements.clear()
    answer = await reader.request(method, path, json=body)
    assert answer.status_code < 300, answer.text
    if is_in_between():
        return [text for text in network.statements if not text.startswith(("begin", "commit"))]
    return list(network.statements)


# A path, and the most statements that reading it may take.
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


async def test_reading_takes_the_same_few_statements_for_one_row_and_for_many(
    bob: Person, article: Article, db: Database, network: Network
) -> None:
    await bob.favorites(article)
    await bob.post("/api/profiles/ann/follow")
    await bob.comments(article)
    for path, most in READS.items():
        statements = await sent(network, bob, "GET", path.format(slug=article["slug"]))
        assert 1 <= len(statements) <= most, statements

    await add_more(db)
    for path, most in READS.items():
        statements = await sent(network, bob, "GET", path.format(slug=article["slug"]))
        assert 1 <= len(statements) <= most, statements


# What bob does in turn, and the most statements that it may take, BEGIN and COMMIT among them.
ACCOUNT = {"username": "cleo", "email": "cleo@example.com", "password": "cleo's password"}
NEW = {"title": "Dragons", "description": "About", "body": "Text", "tagList": ["a", "b", "c", "d"]}
WRITES: list[tuple[str, str, Any, int]] = [
    ("POST", "/api/users", {"user": ACCOUNT}, 1),
    # The attempt is counted before the password is looked at, and forgotten after it.
    ("POST", "/api/users/login", {"user": ACCOUNT}, 3),
    ("PUT", "/api/user", {"user": {"bio": "Text", "password": "another password"}}, 1),
    ("POST", "/api/profiles/ann/follow", None, 1),
    ("DELETE", "/api/profiles/ann/follow", None, 1),
    ("POST", "/api/articles/{slug}/favorite", None, 4),
    ("DELETE", "/api/articles/{slug}/favorite", None, 4),
    ("POST", "/api/articles/{slug}/comments", {"comment": {"body": "Text"}}, 2),
    ("DELETE", "/api/articles/{slug}/comments/{id}", None, 2),
    ("POST", "/api/articles", {"article": NEW}, 1),
    ("PUT", "/api/articles/{own_slug}", {"article": {**NEW, "title": "More dragons"}}, 5),
    ("DELETE", "/api/articles/{own_slug}", None, 2),
    ("DELETE", "/api/user/tokens", None, 1),
]


async def test_writing_takes_few_statements_whatever_there_is(
    bob: Person, article: Article, db: Database, network: Network
) -> None:
    await add_more(db)
    slugs = {"slug": article["slug"], "own_slug": "", "id": ""}

    for method, path, body, most in WRITES:
        if "own_slug" in path:
            slugs["own_slug"] = await db.fetchval("select slug from articles order by id desc limit 1")
        if "{id}" in path:
            slugs["id"] = await db.fetchval("select max(id) from comments")
        statements = await sent(network, bob, method, path.format_map(slugs), body)
        assert 1 <= len(statements) <= most, statements
