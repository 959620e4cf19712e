"""Starlette and asyncpg.Pool by hand.

    RESET=1 python -m benchmarks.http.pool PORT

The choices are those of an expert who wants speed and no layer: the statements of this project with their placeholders
numbered, a pool that prepares them once for each connection, the pool's own fetch methods, dictionaries encoded by
msgspec, and the garbage collector frozen after the start. Without RESET the pool does not reset a connection that is
returned: half the round trips, and whatever a request set in its session stays for the next one.
"""

import gc
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import jwt
import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.repositories import articles, profiles, tags, users
from benchmarks.http.routes import NEWEST, SECRET_KEY
from benchmarks.server import CONNECTIONS, SERVER_SETTINGS, serve

encode = msgspec.json.Encoder().encode
LIST, BY_TAG, FEED, ARTICLE = (
    articles.queries.statements[name].text
    for name in ("list_all_articles", "list_articles_by_tag", "list_feed", "get_article")
)
PROFILE, TAGS = profiles.queries.statements["get_profile"].text, tags.queries.statements["get_tags"].text
USER = users.queries.statements["get_user"].text


class WithoutReset(asyncpg.Connection):  # pyright: ignore[reportMissingTypeArgument] - has none at run time
    """A connection that the pool takes back as it is."""

    def get_reset_query(self) -> str:
        """Return no SQL."""
        return ""


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    """Keep the pool open."""
    kind: Any = asyncpg.Connection if os.environ.get("RESET") else WithoutReset
    async with asyncpg.create_pool(
        os.environ["DATABASE_URL"],
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
        connection_class=kind,
        server_settings=SERVER_SETTINGS,
    ) as app.state.pool:
        gc.collect()
        gc.freeze()
        yield


def viewer(request: Request) -> int | None:
    """Return the id in the token, None without one."""
    authorization = request.headers.get("authorization")
    if authorization is None:
        return None
    claims: dict[str, Any] = jwt.decode(authorization.removeprefix("Token "), SECRET_KEY, ["HS256"])  # pyright: ignore[reportUnknownMemberType] - partial types
    return int(claims["sub"])


def answer(content: object) -> Response:
    """Return the content as JSON."""
    return Response(encode(content), media_type="application/json")


def profile(row: asyncpg.Record) -> dict[str, object]:
    """Return the author in a row as JSON has it."""
    return {
        "username": row["author.username"],
        "bio": row["author.bio"],
        "image": row["author.image"],
        "following": row["author.following"],
    }


def summary(row: asyncpg.Record) -> dict[str, object]:
    """Return the article in a row as JSON has it, without its body."""
    return {
        "slug": row["slug"],
        "title": row["title"],
        "description": row["description"],
        "tagList": row["tag_list"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
        "favorited": row["favorited"],
        "favoritesCount": row["favorites_count"],
        "author": profile(row),
    }


def page(rows: list[asyncpg.Record]) -> Response:
    """Return the articles of a page and their total."""
    total = rows[0]["total"] if rows else 0
    return answer({"articles": [summary(row) for row in rows[:20]], "articlesCount": total})


async def get_profile(request: Request) -> Response:
    """Get a profile."""
    row = await request.app.state.pool.fetchrow(PROFILE, viewer(request), request.path_params["username"])
    if row is None:
        raise HTTPException(404)
    return answer({"profile": profile(row)})


async def get_article(request: Request) -> Response:
    """Get an article."""
    row = await request.app.state.pool.fetchrow(ARTICLE, viewer(request), request.path_params["slug"])
    if row is None:
        raise HTTPException(404)
    return answer({"article": {**summary(row), "body": row["body"]}})


async def get_articles(request: Request) -> Response:
    """Get the newest articles, or those with a tag."""
    limit, offset = (int(request.query_params.get(name, default)) for name, default in (("limit", 20), ("offset", 0)))
    pool, tag = request.app.state.pool, request.query_params.get("tag")
    if tag is None:
        return page(await pool.fetch(LIST, NEWEST, limit + 1, offset, viewer(request)))
    return page(await pool.fetch(BY_TAG, tag, NEWEST, limit + 1, offset, viewer(request)))


async def get_feed(request: Request) -> Response:
    """Get the articles of followed authors."""
    limit, offset = (int(request.query_params.get(name, default)) for name, default in (("limit", 20), ("offset", 0)))
    return page(await request.app.state.pool.fetch(FEED, viewer(request), NEWEST, limit + 1, offset))


async def get_tags(request: Request) -> Response:
    """Get the tags in use."""
    return answer({"tags": await request.app.state.pool.fetchval(TAGS)})


async def get_user(request: Request) -> Response:
    """Get the current user."""
    row = await request.app.state.pool.fetchrow(USER, viewer(request))
    if row is None:
        raise HTTPException(401)
    token = request.headers["authorization"].removeprefix("Token ")
    user = {name: row[name] for name in ("email", "username", "bio", "image")}
    return answer({"user": {**user, "token": token}})


app = Starlette(
    routes=[
        Route("/api/profiles/{username}", get_profile),
        Route("/api/articles/feed", get_feed),
        Route("/api/articles/{slug}", get_article),
        Route("/api/articles", get_articles),
        Route("/api/tags", get_tags),
        Route("/api/user", get_user),
    ],
    lifespan=lifespan,
)

if __name__ == "__main__":
    serve(app)
