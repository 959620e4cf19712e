"""Who may look at the monitor: whoever is on this machine, and whoever has the operator's token."""

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from app.http.client import Networks, is_local

COOKIE = "bindery_monitor"


class Access:
    """Decides by the token (None: there is none) and by where a request comes from."""

    def __init__(self, token: str | None, proxies: Networks) -> None:
        self._token = token
        self._proxies = proxies
        # The cookie does not show the token, and another token makes it invalid.
        self._cookie = None if token is None else hmac.new(token.encode(), b"monitor", hashlib.sha256).hexdigest()

    @property
    def has_token(self) -> bool:
        """Whether a token opens the monitor."""
        return self._token is not None

    def allows(self, request: Request) -> bool:
        """Return whether the client may look."""
        if _is_of_another_site(request):
            return False
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(token.strip()):
            return True
        cookie = request.cookies.get(COOKIE)
        if self._cookie is not None and cookie is not None and _same(cookie, self._cookie):
            return True
        return is_local(request, self._proxies)

    def is_token(self, token: str) -> bool:
        """Return whether this is the operator's token."""
        return self._token is not None and _same(token, self._token)

    def remember(self, response: Response, request: Request) -> None:
        """Let the browser that gets this response look until it is closed."""
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        path = f"{request.scope.get('root_path', '')}/monitor"
        response.set_cookie(COOKIE, self._cookie or "", path=path, httponly=True, samesite="strict", secure=secure)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _is_of_another_site(request: Request) -> bool:
    """Return whether a page of another origin asks. A browser on this machine would be local otherwise."""
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        # A link from elsewhere may be followed: then the page of elsewhere does not see the answer.
        return request.headers.get("sec-fetch-mode") != "navigate" or request.method != "GET"
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")
