"""Favorites: users and the articles that they favor."""

from app.db import Executor, Queries
from app.repositories import SQL

queries = Queries(
    SQL / "favorites.sql",
    resource="article",
    references={"favorites_user_id_fkey": "viewer", "favorites_article_id_fkey": "article"},
)


@queries.bind
async def favorite(db: Executor, *, user_id: int, slug: str) -> None:
    """Favor the article with this slug, if there is one. Raises NotFound("viewer") when the user no longer exists."""
    ...


@queries.bind
async def unfavorite(db: Executor, *, user_id: int, slug: str) -> None:
    """Make the user stop favoring the article."""
    ...
