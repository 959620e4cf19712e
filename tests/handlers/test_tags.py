"""The tags in use."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.handlers.people import Person


async def tags(client: httpx2.AsyncClient) -> list[str]:
    answer = await client.get("/api/tags")
    assert answer.status_code == 200
    assert answer.json().keys() == {"tags"}
    return answer.json()["tags"]


async def test_without_articles_there_are_no_tags(client: httpx2.AsyncClient) -> None:
    assert await tags(client) == []


async def test_each_tag_in_use_is_listed_once_in_order(client: httpx2.AsyncClient, ann: Person, bob: Person) -> None:
    await ann.writes(tagList=["dragons", "coffee", "Zebra"])
    await bob.writes(tagList=["dragons", "élan", "apple"])
    await bob.writes()

    assert await tags(client) == ["Zebra", "apple", "coffee", "dragons", "élan"]


async def test_a_tag_goes_with_its_last_article(client: httpx2.AsyncClient, ann: Person, bob: Person) -> None:
    first: dict[str, Any] = await ann.writes(tagList=["dragons", "coffee"])
    second: dict[str, Any] = await bob.writes(tagList=["dragons"])

    await ann.delete(f"/api/articles/{first['slug']}")
    assert await tags(client) == ["dragons"]

    await bob.put(f"/api/articles/{second['slug']}", {"article": {"tagList": ["tea"]}})
    assert await tags(client) == ["tea"]

    await bob.put(f"/api/articles/{second['slug']}", {"article": {"tagList": []}})
    assert await tags(client) == []
