"""Articles, alone and in lists."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, FailFast, Field
from slugify import slugify
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from app.handlers.profiles import ProfileJson, profile_json
from app.handlers.users import MAX_USERNAME
from app.http.bodies import BLANK, NO_NUL, NOT_BLANK, REQUIRED, RequestBody, parse
from app.http.errors import Forbidden, Invalid
from app.http.operations import Operation, Parameter
from app.http.pagination import CURSOR, LIMIT, OFFSET, PageRequest, page_of, page_request
from app.http.requests import database, optional_viewer, path_text, query_text, read_object, required_viewer
from app.http.responses import json_response
from app.repositories import articles
from app.repositories.articles import Article, ArticleKey, ArticleSummary, Filters, ListedArticle, PageBounds

MAX_TAGS = 100
MAX_TAG = 100
MAX_SLUG_LENGTH = 200

Title = Annotated[str, Field(max_length=300), REQUIRED]
Description = Annotated[str, Field(max_length=1000), REQUIRED]
ArticleBody = Annotated[str, Field(max_length=100_000), REQUIRED]
Tag = Annotated[str, Field(max_length=MAX_TAG), REQUIRED, AfterValidator(str.strip)]
# Only the first tag at fault is named: there may be a hundred thousand. Sorted by code point and without repeats, as
# they come back.
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS), FailFast(), AfterValidator(lambda tags: sorted(set(tags)))]


class NewArticle(RequestBody):
    """An article to publish."""

    EXAMPLE: ClassVar[dict[str, Any]] = {
        "title": "A garden in March",
        "description": "What to sow before the last frost.",
        "body": "Peas do not mind the cold.",
        "tagList": ["garden", "spring"],
    }

    title: Title
    description: Description
    body: ArticleBody
    tag_list: Tags = Field(default_factory=list)


class UpdateArticle(RequestBody):
    """Changes to an article. An absent field stays as it is."""

    EXAMPLE: ClassVar[dict[str, Any]] = {"body": "Peas do not mind the cold, and neither do beans."}

    title: Title = Field(default_factory=str)
    description: Description = Field(default_factory=str)
    body: ArticleBody = Field(default_factory=str)
    tag_list: Tags = Field(default_factory=list)


class ArticleSummaryJson(TypedDict):
    """An article as the viewer sees it in a list."""

    slug: str
    title: str
    description: str
    tagList: list[str]
    createdAt: str
    updatedAt: str
    favorited: bool
    favoritesCount: int
    author: ProfileJson


class ArticleJson(ArticleSummaryJson):
    """An article as the viewer sees it."""

    body: str


class OneArticle(TypedDict):
    """An article."""

    article: ArticleJson


class ManyArticles(TypedDict):
    """A page of articles without their bodies, and how many there are on all pages."""

    articles: list[ArticleSummaryJson]
    articlesCount: int


def article_summary_json(article: ArticleSummary) -> ArticleSummaryJson:
    """Return the article as JSON has it, without its body."""
    return {
        "slug": article.slug,
        "title": article.title,
        "description": article.description,
        "tagList": article.tag_list,
        "createdAt": article.created_at,
        "updatedAt": article.updated_at,
        "favorited": article.favorited,
        "favoritesCount": article.favorites_count,
        "author": profile_json(article.author),
    }


def article_response(article: Article, status: int = 200) -> Response:
    """Return the answer with the article."""
    answer: OneArticle = {"article": {**article_summary_json(article), "body": article.body}}
    return json_response(answer, status)


async def get_articles(request: Request) -> Response:
    """Get articles, newest first."""
    viewer, page, db = optional_viewer(request), page_request(request), database(request)
    author, favorited = (query_text(request, name, MAX_USERNAME) for name in ("author", "favorited"))
    filters = Filters(_tag(request), author, favorited)
    found = await articles.list_articles(
        db, filters=filters, page=_page(page), viewer_id=viewer.id, generation=viewer.generation
    )
    return await _answer(request, page, found, lambda: articles.count_articles(db, filters=filters))


async def get_articles_feed(request: Request) -> Response:
    """Get articles by followed authors, newest first."""
    viewer, page, db = required_viewer(request), page_request(request), database(request)
    asked = _page(page)
    found = await articles.list_feed(
        db,
        limit=asked.limit,
        offset=asked.offset,
        before=asked.before,
        viewer_id=viewer.id,
        generation=viewer.generation,
    )
    return await _answer(request, page, found, lambda: articles.count_feed(db, viewer_id=viewer.id))


async def get_article(request: Request) -> Response:
    """Get an article."""
    viewer, slug = optional_viewer(request), path_text(request, "slug")
    article = await articles.get_article(
        database(request), slug=slug, viewer_id=viewer.id, generation=viewer.generation
    )
    return article_response(article)


async def create_article(request: Request) -> Response:
    """Publish an article."""
    author = required_viewer(request)
    new = parse(await read_object(request), "article", NewArticle)
    article = await articles.create_article(
        database(request),
        viewer_id=author.id,
        generation=author.generation,
        slug_words=slug_words(new.title),
        title=new.title,
        description=new.description,
        body=new.body,
        tags=new.tag_list,
    )
    return article_response(article, 201)


async def update_article(request: Request) -> Response:
    """Change an article of the current user."""
    author, slug = required_viewer(request), path_text(request, "slug")
    body = await read_object(request)
    async with database(request).transaction() as tx:
        key = await articles.lock_article(tx, slug=slug, viewer_id=author.id, generation=author.generation)
        _require_author(key, author.id)
        changes = parse(body, "article", UpdateArticle)
        if changes.model_fields_set:
            slug = await articles.update_article(
                tx,
                article_id=key.id,
                slug_words=slug_words(changes.title) if changes.title else None,
                title=changes.title or None,
                description=changes.description or None,
                body=changes.body or None,
                tags=changes.tag_list if "tag_list" in changes.model_fields_set else None,
            )
        article = await articles.get_article(tx, slug=slug, viewer_id=author.id, generation=author.generation)
    return article_response(article)


async def delete_article(request: Request) -> Response:
    """Delete an article of the current user."""
    author, slug = required_viewer(request), path_text(request, "slug")
    db = database(request)
    key = await articles.get_article_key(db, slug=slug, viewer_id=author.id, generation=author.generation)
    _require_author(key, author.id)
    await articles.delete_article(db, article_id=key.id)
    return Response(status_code=204)


def _tag(request: Request) -> str | None:
    """Return the tag to filter by, trimmed as tags are stored."""
    tag = query_text(request, "tag", MAX_TAG)
    if tag is not None and not (tag := tag.strip()):
        raise Invalid({"tag": [BLANK]})
    return tag


def _require_author(key: ArticleKey, viewer: int) -> None:
    if key.author_id != viewer:
        raise Forbidden("article")


def _page(page: PageRequest) -> PageBounds:
    return PageBounds(limit=page.rows_to_fetch, offset=page.offset, before=page.before)


async def _answer(
    request: Request, asked: PageRequest, found: list[ListedArticle], count: Callable[[], Awaitable[int]]
) -> Response:
    page = page_of(request, asked, found)
    # A page beyond the last one has no row that says how many there are before it.
    is_beyond = not found and (asked.offset or asked.cursor is not None)
    total = found[0].total if found else await count() if is_beyond else 0
    answer: ManyArticles = {"articles": [article_summary_json(each) for each in page.rows], "articlesCount": total}
    return json_response(answer, headers=page.headers)


def slug_words(title: str) -> str:
    """Return the words of a title in lower case, in their own script, for a slug; "" if there are none."""
    return slugify(title, allow_unicode=True, max_length=MAX_SLUG_LENGTH)


_TAG = "Articles"
_ONE = "/api/articles/{slug}"
_USERNAME = {"type": "string", "maxLength": MAX_USERNAME, "pattern": NO_NUL}
_FILTERS = (
    Parameter("tag", "Only articles with this tag.", {"type": "string", "maxLength": MAX_TAG, "pattern": NOT_BLANK}),
    Parameter("author", "Only articles by the user with this name.", _USERNAME),
    Parameter("favorited", "Only articles that the user with this name favors.", _USERNAME),
)
_PAGE = (LIMIT, OFFSET, CURSOR)
operations = [
    Operation(
        "GET", "/api/articles/feed", get_articles_feed, _TAG, ManyArticles, viewer="required", query=_PAGE
    ),
    Operation("GET", "/api/articles", get_articles, _TAG, ManyArticles, viewer="optional", query=(*_FILTERS, *_PAGE)),
    Operation(
        "POST", "/api/articles", create_article, _TAG, OneArticle, 201, viewer="required",
        body=("article", NewArticle), refusals=(400, 413),
    ),
    Operation("GET", _ONE, get_article, _TAG, OneArticle, viewer="optional", refusals=(404,)),
    Operation(
        "PUT", _ONE, update_article, _TAG, OneArticle, viewer="required",
        body=("article", UpdateArticle), refusals=(400, 403, 404, 413),
    ),
    Operation("DELETE", _ONE, delete_article, _TAG, status=204, viewer="required", refusals=(403, 404)),
]  # fmt: skip
