"""People who use the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from tests.handlers.people import Person, register


@pytest.fixture
def newcomer(client: httpx2.AsyncClient) -> Callable[[str], Awaitable[Person]]:
    """Registers one more person by username."""
    return lambda username: register(client, username)


@pytest.fixture
async def ann(client: httpx2.AsyncClient) -> Person:
    """The first person; in tests about articles, their author."""
    return await register(client, "ann")


@pytest.fixture
async def bob(client: httpx2.AsyncClient) -> Person:
    """Another person."""
    return await register(client, "bob")


@pytest.fixture
async def article(ann: Person) -> dict[str, Any]:
    """An article by ann with two tags, as the API shows it to her."""
    return await ann.writes(tagList=["dragons", "training"])


@pytest.fixture
async def other_article(ann: Person, article: dict[str, Any]) -> dict[str, Any]:
    """A newer article by ann, which must not change when the first one does."""
    assert article["slug"]
    return await ann.writes("Another dragon", tagList=["coffee"])
