"""Articles of any number, in constant memory: a line of JSON or CSV for each, sent while they are read."""

import asyncio
import csv
import io
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send
from typing_extensions import TypedDict

from app.handlers.errors import Invalid
from app.handlers.operations import Operation, Parameter
from app.handlers.requests import database, query_text, require_viewer, user_id
from app.handlers.responses import timestamp
from app.repositories import articles
from app.repositories.articles import ExportedArticle

logger = logging.getLogger("app.handlers")

FORMATS = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
CHUNK_BYTES = 64 * 1024
# An export holds a connection for as long as its client reads; one who takes longer for 64 KiB is gone or means harm.
SLOWEST_READ = 20.0  # seconds


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
    viewer, format_ = user_id(request), query_text(request, "format", 10) or "ndjson"
    if format_ not in FORMATS:
        raise Invalid({"format": [f"must be one of {', '.join(FORMATS)}"]})
    if request.method == "HEAD":
        await require_viewer(request)
        return Response(headers={"content-type": FORMATS[format_]})
    stream = articles.stream_articles(database(request), viewer_id=viewer)
    header, line = _FORMATTERS[format_]
    return Export(stream, header, line, {"content-type": FORMATS[format_]})


class Export(StreamingResponse):
    """The rows of a stream as text; it ends with its client, and a client who does not read is dropped."""

    def __init__(
        self,
        stream: AbstractAsyncContextManager[AsyncIterator[ExportedArticle]],
        header: bytes,
        line: Callable[[ExportedArticle], bytes],
        headers: dict[str, str],
    ) -> None:
        super().__init__((), headers=headers)
        self._stream = stream
        self._header = header
        self._line = line

    async def stream_response(self, send: Send) -> None:
        """Send the export; whatever is wrong with the statement is raised before the answer begins."""
        try:
            async with self._stream as rows:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async for chunk in self._chunks(rows):
                    async with asyncio.timeout(SLOWEST_READ):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            # The answer stays without its end, which tells the client that it is not whole.
            logger.warning("an export was dropped: its client read nothing for %g seconds", SLOWEST_READ)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _chunks(self, rows: AsyncIterator[ExportedArticle]) -> AsyncIterator[bytes]:
        chunk = bytearray(self._header)
        async for row in rows:
            chunk += self._line(row)
            if len(chunk) >= CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
        yield bytes(chunk)


def _exported(article: ExportedArticle) -> ExportedArticleJson:
    return {
        "slug": article.slug,
        "title": article.title,
        "description": article.description,
        "body": article.body,
        "tagList": article.tag_list,
        "createdAt": timestamp(article.created_at),
        "updatedAt": timestamp(article.updated_at),
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
