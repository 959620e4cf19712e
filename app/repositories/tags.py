"""Tags in use."""

from app.db import Executor, Queries
from app.repositories import SQL

queries = Queries(SQL / "tags.sql")


@queries.bind
async def list_tags(db: Executor) -> list[str]:
    """Return every tag of an article, sorted by code point."""
    ...
