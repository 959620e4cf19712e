"""Pages of a list: by offset, or after a cursor, which stays right while rows come and go."""

import base64
import binascii
from dataclasses import dataclass

from starlette.requests import Request

from app.handlers.errors import Invalid
from app.handlers.operations import Parameter
from app.handlers.requests import MAX_BIGINT, query_number

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
CURSOR_LENGTH = 11

LIMIT = Parameter(
    "limit", "How many to return.", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 20}
)
# Without `default`: forms would send it along with a cursor, which goes without.
OFFSET = Parameter("offset", "How many to skip; not with a cursor.", {"type": "integer", "minimum": 0})
CURSOR = Parameter(
    "cursor",
    'Where to go on: from the Link header, rel="next", of the page before.',
    {"type": "string", "minLength": CURSOR_LENGTH, "maxLength": CURSOR_LENGTH},
)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """At most `limit` rows after `offset` skipped ones, or after the row with the key `cursor`."""

    limit: int
    offset: int
    cursor: int | None


def page_request(request: Request) -> PageRequest:
    """Which page is asked for; Invalid names the parameter at fault."""
    limit = query_number(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    offset = query_number(request, "offset", 0, 0, MAX_BIGINT - MAX_LIMIT - 1)
    cursor = request.query_params.get("cursor")
    if cursor is not None and "offset" in request.query_params:
        raise Invalid({"cursor": ["goes without offset"]})
    return PageRequest(limit, offset, None if cursor is None else _decode(cursor))


def next_page(request: Request, key: int) -> dict[str, str]:
    """The Link header that leads to the rows after the one with this key."""
    url = request.url.remove_query_params(["offset", "cursor"]).include_query_params(cursor=_encode(key))
    return {"Link": f'<{url.path}?{url.query}>; rel="next"'}


def _encode(key: int) -> str:
    return base64.urlsafe_b64encode(key.to_bytes(8)).rstrip(b"=").decode()


def _decode(cursor: str) -> int:
    try:
        key = base64.b64decode(cursor + "=", altchars=b"-_", validate=True) if len(cursor) == CURSOR_LENGTH else b""
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 8 or key[0] & 0x80:
        raise Invalid({"cursor": ["is not one that a Link header gave"]})
    return int.from_bytes(key)
