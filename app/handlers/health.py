"""Whether this process lives, and whether it can serve."""

import logging
from typing import NotRequired

from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from app.db import BindingError, DatabaseUnavailable, PoolTimeout, StatementTimeout, is_server_unfit
from app.handlers.operations import Operation
from app.handlers.requests import database
from app.handlers.responses import json_response
from app.repositories import health

logger = logging.getLogger("app.handlers")


class Health(TypedDict):
    """The state, and the reason where it is not "ok"."""

    status: str
    reason: NotRequired[str]


async def live(request: Request) -> Response:
    """Whether the process answers."""
    answer: Health = {"status": "ok"}
    return json_response(answer)


async def ready(request: Request) -> Response:
    """Whether the database can be reached, is migrated and takes writes."""
    reason = await _unready(request)
    answer: Health = {"status": "unavailable", "reason": reason} if reason else {"status": "ok"}
    return json_response(answer, 503 if reason else 200)


async def _unready(request: Request) -> str | None:
    try:
        pending = await _pending(request)
        if pending:
            return f"migrations are pending: {', '.join(pending)}"
        await health.delete_nothing(database(request))
    except (DatabaseUnavailable, PoolTimeout, StatementTimeout) as error:
        # Who asks may be anyone: what the server is, and where, is for the log.
        logger.warning("not ready: %s", error)
        return "no connection is free" if isinstance(error, PoolTimeout) else "the database does not answer"
    except Exception as error:
        if not is_server_unfit(error):
            raise
        logger.warning("not ready: %s", error)
        return "the database takes no writes"
    return None


async def _pending(request: Request) -> list[str]:
    try:
        applied = await health.list_applied_migrations(database(request))
    except BindingError:
        applied = []
    return [migration for migration in request.app.state.migrations if migration not in applied]


operations = [
    Operation("GET", "/health/live", live, "Health", Health),
    Operation("GET", "/health/ready", ready, "Health", Health, refusals=(503,)),
]
