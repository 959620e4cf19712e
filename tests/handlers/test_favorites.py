"""Favorites: marking articles, and taking the mark back."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app.db import Database
from tests.documented import outcome
from tests.handlers.people import Person

Article = dict[str, Any]


def path_of(article: Article) -> str:
    return f"/api/articles/{article['slug']}/favorite"


async def marks(reader: Person, *articles: Article) -> list[tuple[bool, int]]:
    """Whether the reader favorited each article, and how many people did."""
    seen = [await reader.reads(article) for article in articles]
    return [(article["favorited"], article["favoritesCount"]) for article in seen]


async def test_favoriting_answers_with_the_article(
    ann: Person, bob: Person, article: Article, other_article: Article
) -> None:
    answer = await bob.post(path_of(article))

    assert answer.status_code == 200
    assert answer.json() == {"article": {**article, "favorited": True, "favoritesCount": 1}}


async def test_a_favorite_is_seen_by_its_owner_and_counted_for_all(
    ann: Person, bob: Person, article: Article, other_article: Article
) -> None:
    await bob.favorites(article)
    await bob.favorites(other_article)
    await ann.favorites(other_article)

    assert await marks(bob, article, other_article) == [(True, 1), (True, 2)]
    assert await marks(ann, article, other_article) == [(False, 1), (True, 2)]


async def test_favoriting_twice_is_favoriting_once(ann: Person, bob: Person, article: Article, db: Database) -> None:
    await bob.favorites(article)

    answer = await bob.post(path_of(article))

    assert (answer.status_code, answer.json()["article"]["favoritesCount"]) == (200, 1)
    assert await db.fetchval("select count(*) from favorites") == 1


async def test_unfavoriting_answers_with_the_article(
    ann: Person, bob: Person, article: Article, other_article: Article
) -> None:
    await bob.favorites(article)
    await bob.favorites(other_article)

    answer = await bob.delete(path_of(article))

    assert answer.status_code == 200
    assert answer.json() == {"article": article}
    assert await marks(bob, article, other_article) == [(False, 0), (True, 1)]


async def test_unfavoriting_leaves_the_favorites_of_others(ann: Person, bob: Person, article: Article) -> None:
    await ann.favorites(article)
    await bob.favorites(article)

    await bob.delete(path_of(article))

    assert await marks(bob, article) == [(False, 1)]
    assert await marks(ann, article) == [(True, 1)]


async def test_unfavoriting_what_was_no_favorite_changes_nothing(ann: Person, bob: Person, article: Article) -> None:
    await ann.favorites(article)

    for _ in range(2):
        answer = await bob.delete(path_of(article))
        assert answer.status_code == 200
        assert (answer.json()["article"]["favorited"], answer.json()["article"]["favoritesCount"]) == (False, 1)


async def test_an_author_can_favorite_their_own_article(ann: Person, article: Article) -> None:
    answer = await ann.post(path_of(article))

    assert (answer.status_code, answer.json()["article"]["favorited"]) == (200, True)


async def test_a_favorite_shows_that_its_owner_follows_the_author(ann: Person, bob: Person, article: Article) -> None:
    await bob.follows(ann)

    assert (await bob.post(path_of(article))).json()["article"]["author"]["following"]
    assert (await bob.delete(path_of(article))).json()["article"]["author"]["following"]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_the_token_is_checked_before_the_article(
    client: httpx2.AsyncClient, ann: Person, article: Article, db: Database, method: str
) -> None:
    missing = "/api/articles/no-such-article-1/favorite"

    assert outcome(await client.request(method, missing)) == (401, {"token": ["is missing"]})
    assert outcome(await client.request(method, path_of(article))) == (401, {"token": ["is missing"]})
    assert outcome(await ann.request(method, missing)) == (404, {"article": ["not found"]})
    assert await db.fetchval("select count(*) from favorites") == 0
