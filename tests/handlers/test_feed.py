"""The feed: articles by the people that its reader follows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.documented import outcome
from tests.handlers.people import Person

FEED = "/api/articles/feed"


async def feed(reader: Person, query: str = "") -> tuple[list[str], int]:
    """The titles of a page of the reader's feed, and the count of all that is in it."""
    answer = await reader.get(f"{FEED}?{query}")
    assert answer.status_code == 200, answer.text
    return [article["title"] for article in answer.json()["articles"]], answer.json()["articlesCount"]


@pytest.fixture
async def cleo(newcomer: Callable[[str], Awaitable[Person]]) -> Person:
    """A third person."""
    return await newcomer("cleo")


@pytest.fixture
async def papers(ann: Person, bob: Person, cleo: Person) -> None:
    """Two articles by ann, one by each other person."""
    await ann.writes("Ann 1")
    await bob.writes("Bob 1")
    await cleo.writes("Cleo 1")
    await ann.writes("Ann 2")


@pytest.mark.usefixtures("papers")
async def test_the_feed_of_who_follows_nobody_is_empty(ann: Person, bob: Person) -> None:
    assert (await ann.get(FEED)).json() == {"articles": [], "articlesCount": 0}
    await bob.follows(ann)
    assert await feed(ann) == ([], 0)


@pytest.mark.usefixtures("papers")
async def test_a_feed_has_the_articles_of_the_followed_newest_first(ann: Person, bob: Person, cleo: Person) -> None:
    await bob.follows(ann)
    assert await feed(bob) == (["Ann 2", "Ann 1"], 2)

    await bob.follows(cleo)
    assert await feed(bob) == (["Ann 2", "Cleo 1", "Ann 1"], 3)
    assert await feed(cleo) == ([], 0)


@pytest.mark.usefixtures("papers")
async def test_unfollowing_takes_the_articles_out_of_the_feed(ann: Person, bob: Person, cleo: Person) -> None:
    await bob.follows(ann)
    await bob.follows(cleo)

    await bob.delete("/api/profiles/ann/follow")

    assert await feed(bob) == (["Cleo 1"], 1)


async def test_a_feed_shows_articles_like_every_list(
    ann: Person, bob: Person, article: dict[str, Any], other_article: dict[str, Any]
) -> None:
    await bob.follows(ann)
    await bob.favorites(article)
    await ann.favorites(article)
    await ann.favorites(other_article)

    rows = (await bob.get(FEED)).json()["articles"]

    del article["body"], other_article["body"]
    author = {**article["author"], "following": True}
    assert rows == [
        {**other_article, "favoritesCount": 1, "author": author},
        {**article, "favorited": True, "favoritesCount": 2, "author": author},
    ]


@pytest.mark.usefixtures("papers")
async def test_limit_and_offset_choose_the_page_of_a_feed(ann: Person, bob: Person, cleo: Person) -> None:
    await bob.follows(ann)
    await bob.follows(cleo)

    assert await feed(bob, "limit=1") == (["Ann 2"], 3)
    assert await feed(bob, "limit=1&offset=1") == (["Cleo 1"], 3)
    assert await feed(bob, "limit=2&offset=2") == (["Ann 1"], 3)
    assert await feed(bob, "offset=3") == ([], 3)


@pytest.mark.usefixtures("papers")
@pytest.mark.parametrize(("limit", "pages"), [(1, ["Ann 2", "Cleo 1", "Ann 1"]), (2, ["Ann 2, Cleo 1", "Ann 1"])])
async def test_the_link_header_leads_through_the_feed_once(
    ann: Person, bob: Person, cleo: Person, limit: int, pages: list[str]
) -> None:
    await bob.follows(ann)
    await bob.follows(cleo)
    path, walked = f"{FEED}?limit={limit}", list[str]()

    while path:
        answer = await bob.get(path)
        assert answer.json()["articlesCount"] == 3
        walked.append(", ".join(article["title"] for article in answer.json()["articles"]))
        path = answer.links.get("next", {}).get("url", "")

    assert walked == pages


async def test_a_stranger_has_no_feed(client: httpx2.AsyncClient, article: dict[str, Any]) -> None:
    assert outcome(await client.get(FEED)) == (401, {"token": ["is missing"]})
    assert outcome(await client.get(f"{FEED}?limit=0")) == (401, {"token": ["is missing"]})
