"""The requests that are measured, for rows of a seeded database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import asyncpg

from app.security import Tokens

SECRET_KEY = "a key for benchmarks, known to everyone"
NEWEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Route:
    """A request, and the statement and arguments behind it. `token` is of a viewer who exists, if any."""

    name: str
    path: str
    statement: str
    arguments: Mapping[str, object]
    token: str | None = None
    bars: Mapping[str, float] = field(default_factory=dict[str, float])
    """The ratios that are wanted, by contestant."""


async def routes(dsn: str) -> list[Route]:
    """Return the requests. Raises ValueError if the database was not seeded."""
    connection = await asyncpg.connect(dsn)
    try:
        return await _routes(connection)
    finally:
        await connection.close()


async def _routes(connection: "asyncpg.Connection[asyncpg.Record]") -> list[Route]:
    article = await connection.fetchrow(ARTICLE)
    tag = await connection.fetchval(TAG)
    viewer = await connection.fetchrow(READER)
    if article is None or tag is None or viewer is None:
        raise ValueError("the database has no articles: python -m app seed fills it")
    token = Tokens(SECRET_KEY, 604_800).issue(viewer["id"])
    page = {"limit": 21, "offset": 0, "before": NEWEST}
    stranger = {**page, "viewer_id": None, "generation": None}
    author, slug = article["username"], article["slug"]
    return [
        Route(
            "profile", f"/api/profiles/{quote(author)}", "profiles.get_profile",
            {"username": author, "viewer_id": None, "generation": None},
            bars={BARE: 0.55, ORM: 14, POOL: 1.4, UNRESET: 1.05},
        ),
        Route(
            "article", f"/api/articles/{quote(slug)}", "articles.get_article",
            {"slug": slug, "viewer_id": None, "generation": None},
            bars={BARE: 0.38, ORM: 16, POOL: 1.4, UNRESET: 1.05},
        ),
        Route(
            "list of 20", "/api/articles", "articles.list_all_articles", stranger,
            bars={BARE: 0.16, ORM: 24, POOL: 1.4, UNRESET: 1.05, PGBENCH: 0.5},
        ),
        Route(
            "by tag", f"/api/articles?tag={quote(tag)}", "articles.list_articles_by_tag", {**stranger, "tag": tag},
            bars={POOL: 1.1, UNRESET: 1.05},
        ),
        Route(
            "feed", "/api/articles/feed", "articles.list_feed",
            {**page, "viewer_id": viewer["id"], "generation": 0}, token,
            bars={POOL: 1.1, UNRESET: 1.05},
        ),
        Route("tags", "/api/tags", "tags.get_tags", {}, bars={BARE: 0.3, POOL: 1.1, UNRESET: 1.05}),
        Route(
            "current user", "/api/user", "users.get_user", {"user_id": viewer["id"], "generation": 0}, token,
            bars={POOL: 1.1, UNRESET: 1.05},
        ),
    ]  # fmt: skip


OURS = "Bindery"
POOL = "Starlette + asyncpg.Pool"
UNRESET = "the same without its reset"
ORM = "FastAPI + SQLAlchemy ORM"
BARE = "bare route, same bytes"
PGBENCH = "pgbench, same SQL"

ARTICLE = """
    select articles.slug, users.username from articles join users on users.id = articles.author_id
    where users.bio is not null order by articles.id desc limit 1 offset (select count(*) / 2 from articles)
"""
# Neither the most common tag nor the rarest, but one whose page is full.
TAG = """
    select tag from tag_counts group by tag having sum(articles) >= 21 order by sum(articles) desc, tag
    limit 1 offset (select count(*) / 4 from tags)
"""
READER = """
    select follower_id as id from follows join author_counts on author_id = followed_id
    group by follower_id having count(distinct followed_id) >= 10 and sum(articles) >= 21 order by 1 limit 1
"""
