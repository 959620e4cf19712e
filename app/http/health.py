"""Health: whether this process answers, and whether it can serve."""

import logging
from collections.abc import Awaitable, Callable
from typing import NotRequired

from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from app.db import BindingError, DatabaseUnavailable, Executor, PoolTimeout, StatementTimeout, is_server_unfit
from app.http.operations import Operation
from app.http.requests import database
from app.http.responses import json_response

logger = logging.getLogger("app.http")


class Health(TypedDict):
    """The state, the reason if it is not "ok", and the environment."""

    status: str
    environment: str
    reason: NotRequired[str]


class HealthChecks:
    """The health of a service that needs these `migrations`.

    `list_applied` returns those that the database has, or raises BindingError before the first one. `write` returns if
    the server accepts writes.
    """

    def __init__(
        self,
        migrations: list[str],
        list_applied: Callable[[Executor], Awaitable[list[str]]],
        write: Callable[[Executor], Awaitable[None]],
    ) -> None:
        self._migrations = migrations
        self._list_applied = list_applied
        self._write = write

    @property
    def operations(self) -> list[Operation]:
        """GET /health/live and GET /health/ready."""
        return [
            Operation("GET", "/health/live", self.live, "Health", Health),
            Operation("GET", "/health/ready", self.ready, "Health", Health, refusals=(503,)),
        ]

    async def live(self, request: Request) -> Response:
        """Tell whether the process answers."""
        answer: Health = {"status": "ok", "environment": _environment(request)}
        return json_response(answer)

    async def ready(self, request: Request) -> Response:
        """Tell whether the database can be reached, is migrated and accepts writes."""
        reason = await self._unready(request)
        answer: Health = {"status": "unavailable" if reason else "ok", "environment": _environment(request)}
        if reason:
            answer["reason"] = reason
        return json_response(answer, 503 if reason else 200)

    async def _unready(self, request: Request) -> str | None:
        try:
            pending = await self._pending(request)
            if pending:
                return f"migrations are pending: {', '.join(pending)}"
            await self._write(database(request))
        except (DatabaseUnavailable, PoolTimeout, StatementTimeout) as error:
            # Anyone may ask: the name and state of the server are for the log only.
            logger.warning("not ready: %s", error)
            return "no connection is free" if isinstance(error, PoolTimeout) else "the database does not answer"
        except Exception as error:
            if not is_server_unfit(error):
                raise
            logger.warning("not ready: %s", error)
            return "the database takes no writes"
        return None

    async def _pending(self, request: Request) -> list[str]:
        try:
            applied = await self._list_applied(database(request))
        except BindingError:
            applied = []
        return [migration for migration in self._migrations if migration not in applied]


def _environment(request: Request) -> str:
    return request.app.state.settings.environment_name
