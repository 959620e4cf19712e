"""One log line for a request: its id, route, status and times. Of fast successes only a share, if so wanted."""

from typing import Any

from starlette.requests import Request

from app.http.client import Networks, client_address
from app.http.watch import CLIENT_GONE, RequestWork

# Ten tenths are a little less than 1.
_ONE = 1 - 1e-9


class RequestLog:
    """Writes the lines. `share` of the requests that succeed within `slow_after` seconds get one, all others always.

    The address of the client is what the `proxies` forwarded, and that of the connection if it is none of theirs. A
    request that was refused with 503 gets none: app.http.refusals has one line a second for all of them.
    """

    def __init__(self, logger: Any, *, share: float, slow_after: float, proxies: Networks) -> None:
        self._logger = logger
        self._share = share
        self._slow_after = slow_after
        self._proxies = proxies
        self._owed = 0.0

    def write(self, work: RequestWork, seconds: float) -> None:
        """Write the line of a request that has ended, or not."""
        status = work.status
        fine = status < 400 or status == CLIENT_GONE
        if fine and seconds < self._slow_after:
            self._owed += self._share
            if self._owed < _ONE:
                return
            self._owed -= 1
        elif status == 503:
            return
        self._logger.info(
            "request",
            level="info" if status < 500 else "error",
            request=work.id,
            client=self._client(work),
            method=work.route.method,
            route=work.route.path,
            status=status,
            ms=_ms(seconds),
            statements=work.statements,
            db_ms=_ms(work.database_seconds),
            wait_ms=_ms(work.wait_seconds),
        )

    def _client(self, work: RequestWork) -> str | None:
        if not self._proxies:
            client: tuple[str, int] | None = work.scope.get("client")
            return client[0] if client else None
        address = client_address(Request(work.scope), self._proxies)
        return str(address) if address else None


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
