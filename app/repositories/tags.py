"""Tags in use."""

from dataclasses import dataclass

from app.db import Executor, Queries
from app.repositories import SQL

queries = Queries(SQL / "tags.sql")


@dataclass(frozen=True, slots=True)
class Tags:
    """The names of the tags in use, sorted by code point."""

    names: list[str]


@queries.bind
async def get_tags(db: Executor) -> Tags:
    """Return the tags that articles have."""
    ...
