"""Articles, alone and in lists."""

from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from app.db import Executor, Queries
from app.repositories import SQL
from app.repositories.profiles import Profile

queries = Queries(
    SQL / "articles.sql",
    resource="article",
    references={"known_viewer": "viewer", "articles_author_id_fkey": "viewer"},
    harmless={"known_viewer", "iso8601"},
)


@dataclass(frozen=True, slots=True)
class ArticleSummary:
    """An article as the viewer sees it in a list; the next page begins after `key`."""

    key: int
    slug: str
    title: str
    description: str
    tag_list: list[str]
    created_at: str
    updated_at: str
    favorited: bool
    favorites_count: int
    author: Profile


@dataclass(frozen=True, slots=True)
class Article(ArticleSummary):
    """An article as the viewer sees it."""

    body: str


@dataclass(frozen=True, slots=True)
class ListedArticle(ArticleSummary):
    """An article in a list, and how many articles the list has on all its pages."""

    total: int


@dataclass(frozen=True, slots=True)
class ArticleKey:
    """The ids of an article and its author."""

    id: int
    author_id: int


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a list: it has the articles that pass each one that is not None."""

    tag: str | None = None
    author: str | None = None
    favorited_by: str | None = None


@dataclass(frozen=True, slots=True)
class PageBounds:
    """At most `limit` articles older than the key `before`, after skipping `offset` of them."""

    limit: int
    offset: int
    before: int


class _Seen(TypedDict):
    limit: int
    offset: int
    before: int
    viewer_id: int | None
    generation: int | None


@dataclass(frozen=True, slots=True)
class NewArticle:
    """An article to store. Its tags must not repeat."""

    author_id: int
    slug_words: str
    title: str
    description: str
    body: str
    tags: list[str]
    created_at: datetime
    updated_at: datetime


@queries.bind
async def get_article(db: Executor, *, slug: str, viewer_id: int | None, generation: int | None) -> Article:
    """Return the article with this slug. Raises NotFound("article") when there is none, or NotFound("viewer")."""
    ...


@queries.bind
async def get_article_key(db: Executor, *, slug: str, viewer_id: int | None, generation: int | None) -> ArticleKey:
    """Return the ids of the article and its author. Raises NotFound as get_article does."""
    ...


@queries.bind
async def lock_article(db: Executor, *, slug: str, viewer_id: int | None, generation: int | None) -> ArticleKey:
    """Return the ids as get_article_key does, and lock the article until the transaction ends."""
    ...


@queries.bind
async def create_article(
    db: Executor,
    *,
    viewer_id: int,
    generation: int,
    slug_words: str,
    title: str,
    description: str,
    body: str,
    tags: list[str],
) -> Article:
    """Store and return a new article by the viewer. Raises NotFound("viewer") when they no longer exist."""
    ...


@queries.bind
async def update_article(
    db: Executor,
    *,
    article_id: int,
    slug_words: str | None,
    title: str | None,
    description: str | None,
    body: str | None,
    tags: list[str] | None,
) -> str:
    """Change the fields that are not None and return the slug. Raises NotFound("article") when it no longer exists."""
    ...


@queries.bind
async def delete_article(db: Executor, *, article_id: int) -> None:
    """Delete the article with its tags, favorites and comments."""
    ...


async def list_articles(
    db: Executor, *, filters: Filters, page: PageBounds, viewer_id: int | None, generation: int | None
) -> list[ListedArticle]:
    """Return a page of the articles that pass the filters, newest first.

    A single filter has a statement of its own, with the plan that suits it; combinations share one.
    """
    at = _Seen(limit=page.limit, offset=page.offset, before=page.before, viewer_id=viewer_id, generation=generation)
    match filters:
        case Filters(None, None, None):
            return await list_all_articles(db, **at)
        case Filters(str(tag), None, None):
            return await list_articles_by_tag(db, tag=tag, **at)
        case Filters(None, str(author), None):
            return await list_articles_by_author(db, author=author, **at)
        case Filters(None, None, str(user)):
            return await list_articles_favorited_by(db, favorited_by=user, **at)
        case Filters(tag, author, user):
            return await list_articles_by_filters(db, tag=tag, author=author, favorited_by=user, **at)


async def count_articles(db: Executor, *, filters: Filters) -> int:
    """Return how many articles pass the filters."""
    match filters:
        case Filters(None, None, None):
            return await count_all_articles(db)
        case Filters(str(tag), None, None):
            return await count_articles_by_tag(db, tag=tag)
        case Filters(None, str(author), None):
            return await count_articles_by_author(db, author=author)
        case Filters(None, None, str(user)):
            return await count_articles_favorited_by(db, favorited_by=user)
        case Filters(tag, author, user):
            return await count_articles_by_filters(db, tag=tag, author=author, favorited_by=user)


@queries.bind
async def list_all_articles(
    db: Executor, *, limit: int, offset: int, before: int, viewer_id: int | None, generation: int | None
) -> list[ListedArticle]:
    """Return the newest articles."""
    ...


@queries.bind
async def list_articles_by_tag(
    db: Executor, *, tag: str, limit: int, offset: int, before: int, viewer_id: int | None, generation: int | None
) -> list[ListedArticle]:
    """Return the newest articles with the tag."""
    ...


@queries.bind
async def list_articles_by_author(
    db: Executor, *, author: str, limit: int, offset: int, before: int, viewer_id: int | None, generation: int | None
) -> list[ListedArticle]:
    """Return the newest articles of the author with this user name."""
    ...


@queries.bind
async def list_articles_favorited_by(
    db: Executor,
    *,
    favorited_by: str,
    limit: int,
    offset: int,
    before: int,
    viewer_id: int | None,
    generation: int | None,
) -> list[ListedArticle]:
    """Return the newest articles that the user with this name favors."""
    ...


@queries.bind
async def list_articles_by_filters(
    db: Executor,
    *,
    tag: str | None,
    author: str | None,
    favorited_by: str | None,
    limit: int,
    offset: int,
    before: int,
    viewer_id: int | None,
    generation: int | None,
) -> list[ListedArticle]:
    """Return the newest articles that pass every filter which is not None."""
    ...


@queries.bind
async def list_feed(
    db: Executor, *, limit: int, offset: int, before: int, viewer_id: int, generation: int
) -> list[ListedArticle]:
    """Return the newest articles by authors that the viewer follows."""
    ...


@queries.bind
async def count_all_articles(db: Executor) -> int:
    """Return how many articles there are."""
    ...


@queries.bind
async def count_articles_by_tag(db: Executor, *, tag: str) -> int:
    """Return how many articles have the tag."""
    ...


@queries.bind
async def count_articles_by_author(db: Executor, *, author: str) -> int:
    """Return how many articles the author with this user name has written."""
    ...


@queries.bind
async def count_articles_favorited_by(db: Executor, *, favorited_by: str) -> int:
    """Return how many articles the user with this name favors."""
    ...


@queries.bind
async def count_articles_by_filters(
    db: Executor, *, tag: str | None, author: str | None, favorited_by: str | None
) -> int:
    """Return how many articles pass every filter which is not None."""
    ...


@queries.bind
async def count_feed(db: Executor, *, viewer_id: int) -> int:
    """Return how many articles there are by authors that the viewer follows."""
    ...


@queries.bind
async def copy_articles(db: Executor, *, rows: Iterable[NewArticle] | AsyncIterable[NewArticle]) -> int:
    """Store many articles, all or none. Raises BadRow, which names the row, when one cannot be stored."""
    ...


@queries.bind
async def find_newest_key(db: Executor) -> int | None:
    """Return the id of the newest article, None if there is none."""
    ...
