"""Articles of any number, in constant memory: a line of JSON or CSV for each, sent while they are read."""

import asyncio
import csv
import io
import logging
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send
from typing_extensions import TypedDict

from app.handlers.errors import Invalid, TryLater
from app.handlers.operations import Operation, Parameter
from app.handlers.requests import database, query_text, require_viewer, user_id
from app.handlers.responses import timestamp
from app.repositories import articles
from app.repositories.articles import ExportedArticle

logger = logging.getLogger("app.handlers")

FORMATS = {"ndjson": "application/x-ndjson", "csv": "text/csv; charset=utf-8"}
CHUNK_BYTES = 64 * 1024


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


class Exports:
    """The exports that run, each of which holds a connection for as long as its client reads.

    At most `limit` run at once, so that the other routes have connections; `read_timeout` is how many seconds a client
    may take for each CHUNK_BYTES.
    """

    def __init__(self, limit: int, read_timeout: float) -> None:
        self.limit = limit
        self.read_timeout = read_timeout
        self.running = 0

    @contextmanager
    def one_more(self) -> Generator[None]:
        """Count an export for the block; TryLater where `limit` run already."""
        if self.running >= self.limit:
            raise TryLater("export", f"is run by {self.limit} others already, as many as may; try again in a moment")
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1


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
    return Export(request.app.state.exports, stream, header, line, {"content-type": FORMATS[format_]})


class Export(StreamingResponse):
    """The rows of a stream as text; it ends with its client, and a client who does not read is dropped."""

    def __init__(
        self,
        exports: Exports,
        stream: AbstractAsyncContextManager[AsyncIterator[ExportedArticle]],
        header: bytes,
        line: Callable[[ExportedArticle], bytes],
        headers: dict[str, str],
    ) -> None:
        super().__init__((), headers=headers)
        self._exports = exports
        self._stream = stream
        self._header = header
        self._line = line

    async def stream_response(self, send: Send) -> None:
        """Send the export; whatever is wrong with the statement is raised before the answer begins."""
        try:
            with self._exports.one_more():
                await self._send_rows(send)
        except TimeoutError:
            # The answer stays without its end, which tells the client that it is not whole.
            logger.warning(
                "an export was dropped: its client took more than %g seconds for a part", self._exports.read_timeout
            )
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_rows(self, send: Send) -> None:
        async with self._stream as rows:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for chunk in self._chunks(rows):
                async with asyncio.timeout(self._exports.read_timeout):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _chunks(self, rows: AsyncIterator[ExportedArticle]) -> AsyncIterator[bytes]:
        chunk = bytearray(self._header)
        async for row in rows:
            chunk += self._line(row)
            while len(chunk) >= CHUNK_BYTES:
                yield bytes(chunk[:CHUNK_BYTES])
                del chunk[:CHUNK_BYTES]
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
