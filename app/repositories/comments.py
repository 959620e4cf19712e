"""Comments on articles."""

from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass

from app.db import Executor, Queries
from app.repositories import SQL
from app.repositories.profiles import Profile

queries = Queries(
    SQL / "comments.sql",
    resource="article",
    references={
        "known_viewer": "viewer",
        "comments_author_id_fkey": "viewer",
        "comments_article_id_fkey": "article",
    },
    harmless={"known_viewer", "iso8601"},
)


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as the viewer sees it."""

    id: int
    created_at: str
    updated_at: str
    body: str
    author: Profile


@dataclass(frozen=True, slots=True)
class CommentKey:
    """The ids of a comment and its author. Both are None if the article has no such comment."""

    id: int | None
    author_id: int | None


@queries.bind
async def create_comment(db: Executor, *, article_id: int, viewer_id: int, body: str) -> Comment:
    """Store and return a new comment. Raises NotFound("article") or NotFound("viewer") when one no longer exists."""
    ...


@queries.bind
async def list_comments(db: Executor, *, slug: str, viewer_id: int | None, generation: int | None) -> list[Comment]:
    """Return the article's comments, newest first; none if there is no article with this slug."""
    ...


@queries.bind
async def get_comment_key(db: Executor, *, slug: str, comment_id: int, viewer_id: int, generation: int) -> CommentKey:
    """Return the ids of a comment and its author. Raises NotFound("article") when there is no such article."""
    ...


@queries.bind
async def delete_comment(db: Executor, *, comment_id: int) -> None:
    """Delete the comment."""
    ...


@dataclass(frozen=True, slots=True)
class NewComment:
    """A comment to store."""

    article_id: int
    author_id: int
    body: str


@queries.bind
async def copy_comments(db: Executor, *, rows: Iterable[NewComment] | AsyncIterable[NewComment]) -> int:
    """Store many comments, all or none. Raises BadRow, which names the row, when one cannot be stored."""
    ...
