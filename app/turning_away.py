"""The answer to a request that is refused under overload, made before anything of it is looked at but its head."""

import random
from collections.abc import Sequence
from time import monotonic

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.http.admission import Admission
from app.http.headers import SAFE, VARIES

_BODY = b'{"errors":{"server":["has too much to do; try again in a moment"]}}'
# What operators and load balancers ask under overload.
_ALWAYS = (b"/health/", b"/monitor", b"/metrics")
# A longer body costs more to read than a new connection.
_LONGEST_BODY = 64 * 1024

_ALWAYS_SAID = [b"%s: %s\r\n" % header for header in ((b"content-type", b"application/json"), *SAFE, VARIES)]

# So many refusals for each answer are little enough.
SHARE = 0.25
# Of the shortest wait. The longest is three times as long: clients that were refused together come back apart.
SHORTEST, LONGEST = 1.0, 5.0
_PERIOD = 1.0  # seconds

Headers = Sequence[tuple[bytes, bytes]]


class RetryAfter:
    """The seconds for `Retry-After`: from one to three at first, from five to fifteen at most.

    A refusal costs a tenth of a short answer. Two thousand clients that come back after two seconds each would take
    much of the time in which others could be answered; so many are asked to wait that refusals stay a small part.
    """

    def __init__(self) -> None:
        self._least = SHORTEST
        self._refused = 0
        self._began = monotonic()

    def seconds(self, rate: float) -> int:
        """Count one more refusal, while so many requests a second are answered. Return the seconds for it."""
        self._refused += 1
        now = monotonic()
        if now - self._began >= _PERIOD:
            self._adapt(now, rate)
        return int(self._least + random.random() * (2 * self._least + 1))  # noqa: S311 - no secret

    def _adapt(self, now: float, rate: float) -> None:
        """Wait longer or shorter from now on. By the root only, since it shows when they come back and not before."""
        elapsed = now - self._began
        was_quiet = elapsed > 2 * _PERIOD
        share = 0 if was_quiet else self._refused / elapsed / max(rate, 1)
        self._least = min(max(self._least * (share / SHARE) ** 0.5, SHORTEST), LONGEST)
        self._refused, self._began = 0, now


class TurningAway:
    """Decides whether requests are turned away, and has the answer. `origins` are those whose pages may read it."""

    def __init__(self, admission: Admission, origins: Sequence[str] = ()) -> None:
        self.admission = admission
        self._retry_after = RetryAfter()
        self._origins = frozenset(each.encode() for each in origins)

    def refuses(self, url: bytes) -> bool:
        """Return whether a request for this path has to be refused. It is counted."""
        admission = self.admission
        return admission.active >= admission.limit and not url.startswith(_ALWAYS) and admission.refuses()

    def counts(self, path: str) -> bool:
        """Return whether a request for this path is one of those that are limited."""
        return not path.startswith(("/health/", "/monitor", "/metrics"))

    def answer(self, method: bytes, headers: Headers, more: Headers, *, closes: bool) -> bytes:
        """Return the whole answer to a request with these `headers`; it has `more` headers, such as the date.

        With `closes` it says that the connection ends with it.
        """
        lines = [
            STATUS_LINE[503],
            *(b"%s: %s\r\n" % header for header in more),
            *_ALWAYS_SAID,
            b"content-length: %d\r\nretry-after: %d\r\n" % (len(_BODY), self._retry_after.seconds(self.admission.rate)),
            *(self._for_pages(value) for name, value in headers if name == b"origin"),
            b"connection: close\r\n\r\n" if closes else b"\r\n",
        ]
        return b"".join(lines if method == b"HEAD" else [*lines, _BODY])

    def _for_pages(self, origin: bytes) -> bytes:
        allowed = b"*" if b"*" in self._origins else origin if origin in self._origins else None
        if allowed is None:
            return b""
        return b"access-control-allow-origin: %s\r\naccess-control-expose-headers: Retry-After\r\n" % allowed


def is_short(headers: Headers) -> bool:
    """Return whether the body of a request, if any, is so short that it is read and thrown away."""
    given = dict(headers)
    length = given.get(b"content-length", b"0")
    # A client that waits for 100 may send its body, or not.
    return not (b"transfer-encoding" in given or b"expect" in given) and int(length) <= _LONGEST_BODY
