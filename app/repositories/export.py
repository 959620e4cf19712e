"""Exports: rows that are read while they are sent."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from app.db import Executor, Queries
from app.repositories import SQL

queries = Queries(
    SQL / "export.sql",
    references={"known_viewer": "viewer"},
    harmless={"known_viewer", "iso8601"},
)


@dataclass(frozen=True, slots=True)
class ExportedArticle:
    """An article as everyone sees it."""

    slug: str
    title: str
    description: str
    body: str
    tag_list: list[str]
    created_at: str
    updated_at: str
    author: str


@queries.bind
def stream_articles(
    db: Executor, *, viewer_id: int, generation: int
) -> AbstractAsyncContextManager[AsyncIterator[ExportedArticle]]:
    """Yield every article, oldest first. Raises NotFound("viewer") when the viewer is gone."""
    ...
