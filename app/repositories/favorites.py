"""Who favors which article."""

from app.db import Executor, Queries
from app.repositories import SQL

queries = Queries(
    SQL / "favorites.sql",
    resource="article",
    references={"favorites_user_id_fkey": "viewer", "favorites_article_id_fkey": "article"},
)


@queries.bind
async def favorite(db: Executor, *, user_id: int, slug: str) -> None:
    """Make the user favor the article, if there is one with this slug; NotFound("viewer") when the user is gone."""
    ...


@queries.bind
async def unfavorite(db: Executor, *, user_id: int, slug: str) -> None:
    """Make the user not favor the article."""
    ...
