"""The export of all articles: a line of JSON or CSV for each, in constant memory."""

import csv
import io

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from app.http.errors import Invalid
from app.http.operations import Operation, Parameter
from app.http.requests import database, query_text, require_viewer, required_viewer
from app.http.streaming import Export
from app.repositories import export
from app.repositories.export import ExportedArticle

FORMATS = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}


class ExportedArticleJson(TypedDict):
    """A line of an export."""

    slug: str
    title: str
    description: str
    body: str
    tagList: list[str]
    createdAt: str
    updatedAt: str
    author: str


async def export_articles(request: Request) -> Response:
    """Export all articles, oldest first, as lines of JSON or as CSV with a header and tags separated by spaces."""
    viewer, format_ = required_viewer(request), query_text(request, "format", 10)
    format_ = "ndjson" if format_ is None else format_
    if format_ not in FORMATS:
        raise Invalid({"format": [f"must be one of {', '.join(FORMATS)}"]})
    if request.method == "HEAD":
        await require_viewer(request)
        return Response(headers={"content-type": FORMATS[format_]})
    stream = export.stream_articles(database(request), viewer_id=viewer.id, generation=viewer.generation)
    header, line = _FORMATTERS[format_]
    return Export(request.app.state.exports, stream, header, line, {"content-type": FORMATS[format_]})


def _exported(article: ExportedArticle) -> ExportedArticleJson:
    return {
        "slug": article.slug,
        "title": article.title,
        "description": article.description,
        "body": article.body,
        "tagList": article.tag_list,
        "createdAt": article.created_at,
        "updatedAt": article.updated_at,
        "author": article.author,
    }


def _json_line(article: ExportedArticle) -> bytes:
    return to_json(_exported(article)) + b"\n"


def _csv_line(article: ExportedArticle) -> bytes:
    return _csv({**_exported(article), "tagList": " ".join(article.tag_list)}.values())


def _csv(values: object) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(values)  # pyright: ignore[reportArgumentType] - any iterable of text
    return text.getvalue().encode()


_FORMATTERS = {"ndjson": (b"", _json_line), "csv": (_csv(ExportedArticleJson.__annotations__), _csv_line)}

_FORMAT = Parameter(
    "format", "How each article is written.", {"type": "string", "enum": [*FORMATS], "default": "ndjson"}
)
# Every slug ends with the number of its article, so that none can be "export".
operations = [
    Operation(
        "GET", "/api/articles/export", export_articles, "Articles", ExportedArticleJson, viewer="required",
        query=(_FORMAT,),
        media_types=("application/x-ndjson", "text/csv"),
    )
]  # fmt: skip
