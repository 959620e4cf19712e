"""Favorites: users and the articles that they favor."""

from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass

from app.db import Executor, Queries
from app.repositories import SQL
from app.repositories.articles import Article

queries = Queries(
    SQL / "favorites.sql",
    resource="article",
    references={
        "known_viewer": "viewer",
        "favorites_user_id_fkey": "viewer",
        "favorites_article_id_fkey": "article",
    },
    harmless={"known_viewer", "iso8601"},
)


@queries.bind
async def favorite(db: Executor, *, viewer_id: int, generation: int, slug: str) -> Article:
    """Favor the article and return it. Raises NotFound("article") when there is none, or NotFound("viewer")."""
    ...


@queries.bind
async def unfavorite(db: Executor, *, viewer_id: int, generation: int, slug: str) -> Article:
    """Stop favoring the article and return it. Raises NotFound as favorite does."""
    ...


@dataclass(frozen=True, slots=True)
class NewFavorite:
    """A favorite to store."""

    user_id: int
    article_id: int


@queries.bind
async def copy_favorites(db: Executor, *, rows: Iterable[NewFavorite] | AsyncIterable[NewFavorite]) -> int:
    """Store many favorites, all or none. Raises BadRow, which names the row, when one cannot be stored."""
    ...
