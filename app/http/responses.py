"""Answers: what the contract calls things, as JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec.json import Encoder
from starlette.responses import Response

_encode = Encoder().encode
_JSON = (b"content-type", b"application/json")


class JsonResponse(Response):
    """An answer in JSON that is encoded already."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str] | None) -> None:
        # What Starlette's class does for any content takes ten times as long.
        self.status_code = status
        self.background = None
        self.body = body
        self.raw_headers = [(b"content-length", b"%d" % len(body)), _JSON]
        for name, value in (headers or {}).items():
            self.raw_headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content`, made of dicts, lists, strings, numbers, booleans and None, as a JSON answer."""
    return JsonResponse(_encode(content), status, headers)


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    # A tenth of isoformat()'s time. In quotes: "2026-01-31T12:00:00.123456Z", without the fraction if it is zero.
    text = _encode(moment)
    return f"{text[1:24].decode()}Z" if moment.microsecond else f"{text[1:20].decode()}.000Z"
