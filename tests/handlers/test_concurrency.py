"""Several people, or one person several times, at the same moment."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import httpx2
import pytest

from app.db import Database
from tests.documented import outcome
from tests.handlers.people import Person

Article = dict[str, Any]
ARTICLE_GONE = (404, {"article": ["not found"]})
PROFILE_GONE = (404, {"profile": ["not found"]})
VIEWER_GONE = (401, {"token": ["is invalid"]})


async def until_waiting(db: Database, requests: int) -> None:
    """Return when so many statements in this database wait for the lock of another."""
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    while await db.fetchval(waiting) < requests:
        await asyncio.sleep(0.005)


async def test_of_those_who_register_a_name_at_once_one_gets_it(client: httpx2.AsyncClient, db: Database) -> None:
    accounts = [{"username": "cleo", "email": f"cleo{n}@example.com", "password": "long enough"} for n in range(4)]

    answers = await asyncio.gather(*(client.post("/api/users", json={"user": account}) for account in accounts))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert await db.fetchval("select count(*) from users") == 1


async def test_doing_the_same_many_times_at_once_is_doing_it_once(ann: Person, bob: Person, article: Article) -> None:
    for path in (f"/api/articles/{article['slug']}/favorite", "/api/profiles/ann/follow"):
        answers = await asyncio.gather(*(bob.post(path) for _ in range(4)))
        assert [answer.status_code for answer in answers] == [200] * 4

    seen = await bob.reads(article)
    assert (seen["favorited"], seen["favoritesCount"], seen["author"]["following"]) == (True, 1, True)


async def test_articles_published_at_once_are_all_listed_and_counted(
    client: httpx2.AsyncClient, ann: Person, bob: Person
) -> None:
    articles = await asyncio.gather(*((ann, bob)[n % 2].writes(tagList=["a", "b"]) for n in range(12)))
    await asyncio.gather(*(ann.delete(f"/api/articles/{article['slug']}") for article in articles[::2]))

    listed = (await client.get("/api/articles")).json()
    assert {article["slug"] for article in listed["articles"]} == {article["slug"] for article in articles[1::2]}
    assert listed["articlesCount"] == 6
    assert (await client.get("/api/articles?limit=1")).json()["articlesCount"] == 6


async def test_of_those_who_replace_the_tags_at_once_the_last_wins(ann: Person, article: Article, db: Database) -> None:
    path = f"/api/articles/{article['slug']}"
    async with db.transaction() as transaction:
        await transaction.execute("select from articles for update")
        changes = [asyncio.create_task(ann.put(path, {"article": {"tagList": [tag]}})) for tag in ("a", "b", "c")]
        await until_waiting(db, len(changes))

    assert [answer.status_code for answer in await asyncio.gather(*changes)] == [200] * 3
    assert (await ann.reads(article))["tagList"] in (["a"], ["b"], ["c"])


class Meanwhile(NamedTuple):
    """What bob asks for, what is deleted before he gets it, and what he is told."""

    request: tuple[str, str, Any]
    deletion: str
    expected: tuple[int, dict[str, list[str]]]


DELETE_ARTICLE = "delete from articles"
DELETE_ANN = "delete from users where username = 'ann'"
DELETE_BOB = "delete from users where username = 'bob'"
COMMENT = ("POST", "/api/articles/{slug}/comments", {"comment": {"body": "Text"}})
FAVORITE = ("POST", "/api/articles/{slug}/favorite", None)
FOLLOW = ("POST", "/api/profiles/ann/follow", None)
PUBLISH = ("POST", "/api/articles", {"article": {"title": "Title", "description": "About", "body": "Text"}})
CHANGE_ACCOUNT = ("PUT", "/api/user", {"user": {"bio": "Text"}})
DELETIONS = {
    "comment, article": Meanwhile(COMMENT, DELETE_ARTICLE, ARTICLE_GONE),
    "favorite, article": Meanwhile(FAVORITE, DELETE_ARTICLE, ARTICLE_GONE),
    "follow, profile": Meanwhile(FOLLOW, DELETE_ANN, PROFILE_GONE),
    "comment, viewer": Meanwhile(COMMENT, DELETE_BOB, VIEWER_GONE),
    "favorite, viewer": Meanwhile(FAVORITE, DELETE_BOB, VIEWER_GONE),
    "follow, viewer": Meanwhile(FOLLOW, DELETE_BOB, VIEWER_GONE),
    "publish, viewer": Meanwhile(PUBLISH, DELETE_BOB, VIEWER_GONE),
    "change account, viewer": Meanwhile(CHANGE_ACCOUNT, DELETE_BOB, VIEWER_GONE),
}


@pytest.mark.parametrize("meanwhile", DELETIONS.values(), ids=DELETIONS.keys())
async def test_what_is_deleted_before_a_request_gets_to_it_is_gone(
    bob: Person, article: Article, db: Database, meanwhile: Meanwhile
) -> None:
    method, path, body = meanwhile.request
    async with db.transaction() as transaction:
        await transaction.execute(meanwhile.deletion)
        request = asyncio.create_task(bob.request(method, path.format(slug=article["slug"]), json=body))
        await until_waiting(db, 1)

    assert outcome(await request) == meanwhile.expected


async def test_an_article_deleted_while_it_is_changed_is_gone(ann: Person, article: Article, db: Database) -> None:
    async with db.transaction() as transaction:
        await transaction.execute(DELETE_ARTICLE)
        request = asyncio.create_task(ann.put(f"/api/articles/{article['slug']}", {"article": {"title": "New"}}))
        await until_waiting(db, 1)

    assert outcome(await request) == ARTICLE_GONE
