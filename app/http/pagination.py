"""Pages of a list: by offset, or by a cursor, which stays right while rows are added and deleted."""

import base64
import binascii
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote, urlencode

from starlette.requests import Request

from app.http.errors import Invalid
from app.http.operations import Parameter
from app.http.requests import MAX_BIGINT, query_number

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
CURSOR_LENGTH = 11

LIMIT = Parameter(
    "limit", "How many to return.", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 20}
)
# Without `default`: forms would send it together with a cursor, which is refused.
OFFSET = Parameter("offset", "How many to skip; not with a cursor.", {"type": "integer", "minimum": 0})
CURSOR = Parameter(
    "cursor",
    'Where to go on: from the Link header, rel="next", of the page before.',
    {"type": "string", "minLength": CURSOR_LENGTH, "maxLength": CURSOR_LENGTH, "pattern": "^[A-Za-f][A-Za-z0-9_-]+$"},
)


class HasKey(Protocol):
    """A row of a list that is paged by a cursor."""

    @property
    def key(self) -> int:
        """The key that the next page begins after."""
        ...


Row = TypeVar("Row", bound=HasKey)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """At most `limit` rows, after `offset` skipped ones or after the row with the key `cursor`."""

    limit: int
    offset: int
    cursor: int | None

    @property
    def rows_to_fetch(self) -> int:
        """One row more than the page shows: it tells whether another page follows."""
        return self.limit + 1

    @property
    def before(self) -> int:
        """The key that the page begins below, for a list with the newest row first."""
        return MAX_BIGINT if self.cursor is None else self.cursor

    @property
    def after(self) -> int:
        """The key that the page begins above, for a list with the oldest row first."""
        return self.cursor or 0


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """The rows that a page shows, whether another page follows, and the Link header that leads to it."""

    rows: list[Row]
    follows: bool
    headers: dict[str, str]


def page_request(request: Request) -> PageRequest:
    """Read which page is requested. Raises Invalid, which names the parameter."""
    limit = query_number(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    offset = query_number(request, "offset", 0, 0, MAX_BIGINT - MAX_LIMIT - 1)
    cursor = request.query_params.get("cursor")
    if cursor is not None and "offset" in request.query_params:
        raise Invalid({"cursor": ["goes without offset"]})
    return PageRequest(limit, offset, None if cursor is None else _decode(cursor))


def page_of(request: Request, asked: PageRequest, fetched: list[Row]) -> Page[Row]:
    """Return the page that shows the fetched rows, which are `rows_to_fetch` or less."""
    rows = fetched[: asked.limit]
    follows = len(fetched) > asked.limit
    return Page(rows, follows, _link(request, rows[-1].key) if follows else {})


def _link(request: Request, key: int) -> dict[str, str]:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in {"offset", "cursor"}]
    query = urlencode([*kept, ("cursor", _encode(key))])
    return {"Link": f'<{quote(request.scope["path"])}?{query}>; rel="next"'}


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
