"""Headers of every answer: browsers take it for nothing else, and no address comes from a client's Host header.

Strict-Transport-Security is for the proxy that speaks TLS: it alone knows whether all of a host does.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

NO_STORE = {"Cache-Control": "no-store"}
"""For answers with a token: no cache keeps them."""
UNFRAMED = {"Content-Security-Policy": "frame-ancestors 'none'", "X-Frame-Options": "DENY"}
"""For pages: no other page shows them inside itself and has its user click there."""
SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""For all answers, where they do not say it themselves: types are not guessed, no address of a page is told to another
host, and what is opened as a page runs nothing and is in no frame. Pages have a policy of their own."""
PRIVATE = (b"cache-control", b"no-store")
"""For answers to a request with a token: what one viewer sees is not kept for another."""
VARIES = (b"vary", b"Origin")
"""For answers to a request without an Origin: to one with it, the headers may be others."""


class SafeHeaders:
    """ASGI middleware: an answer has the headers of SAFE, and a Location is a path of this service."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and add to the headers of its answer."""

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                if message["status"] == 201 or message["status"] // 100 == 3:
                    headers = [relative(name, value) for name, value in headers]
                message["headers"] = [*headers, *absent(SAFE, headers)]
            await send(message)

        await self.app(scope, receive, send_safely)


def absent(wanted: Iterable[Header], headers: Iterable[Header]) -> list[Header]:
    """Return the wanted headers whose names are not among `headers`."""
    names = [name for name, _ in headers]
    return [header for header in wanted if header[0] not in names]


def relative(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return the header; a Location without its scheme and host."""
    if name != b"location":
        return name, value
    url = urlsplit(value.decode("latin-1"))
    # Two slashes at the start would be a host again.
    path = "/" + url.path.lstrip("/") if url.netloc or url.path.startswith("//") else url.path
    return name, urlunsplit(("", "", path, url.query, url.fragment)).encode("latin-1")
