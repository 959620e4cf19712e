"""The answers to requests that are not valid HTTP, come too slowly, or are too many: each ends its connection."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.http.headers import SAFE


@dataclass(frozen=True, slots=True)
class Refusal:
    """The status, and what is wrong with which part of the request; `retry_after` in seconds."""

    status: int
    field: str
    problem: str
    retry_after: int | None = None

    def answer(self, more: Sequence[tuple[bytes, bytes]]) -> bytes:
        """Return the whole answer; it has `more` headers, such as the date."""
        body = to_json({"errors": {self.field: [self.problem]}})
        headers = [
            *more,
            (b"content-type", b"application/json"),
            *SAFE,
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if self.retry_after is not None:
            headers.append((b"retry-after", b"%d" % self.retry_after))
        lines = [b"%s: %s\r\n" % header for header in headers]
        return b"".join([STATUS_LINE[self.status], *lines, b"\r\n", body])


NOT_HTTP = Refusal(400, "request", "is not valid HTTP")
NOT_HTTP_1 = Refusal(505, "request", "is not HTTP/1.1")
NO_TUNNEL = Refusal(501, "method", "is not supported")
TOO_MANY = Refusal(503, "server", "has too many connections; try again in a moment", retry_after=1)
