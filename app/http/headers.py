"""Headers of every answer: browsers must not guess types, and no address comes from a client's Host header."""

from urllib.parse import urlsplit, urlunsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NO_STORE = {"Cache-Control": "no-store"}
"""For answers with a token: no cache keeps them."""
UNFRAMED = {"Content-Security-Policy": "frame-ancestors 'none'", "X-Frame-Options": "DENY"}
"""For pages: no other page shows them inside itself and has its user click there."""
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
VARIES = (b"vary", b"Origin")
"""For answers to a request without an Origin: to one with it, the headers may be others."""


class SafeHeaders:
    """ASGI middleware: the type of a body is what it says, and a Location is a path of this service."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and add to the headers of its answer."""

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                if message["status"] == 201 or message["status"] // 100 == 3:
                    headers = [relative(name, value) for name, value in headers]
                message["headers"] = [*headers, NO_SNIFFING]
            await send(message)

        await self.app(scope, receive, send_safely)


def relative(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return the header; a Location without its scheme and host."""
    if name != b"location":
        return name, value
    url = urlsplit(value.decode("latin-1"))
    # Two slashes at the start would be a host again.
    path = "/" + url.path.lstrip("/") if url.netloc or url.path.startswith("//") else url.path
    return name, urlunsplit(("", "", path, url.query, url.fragment)).encode("latin-1")
