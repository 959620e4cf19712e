"""The ways in which a request can fail, and the one table that turns them into answers."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.db import (
    BadArgument,
    CommitUnknown,
    Conflict,
    DatabaseUnavailable,
    NotFound,
    PoolTimeout,
    StatementTimeout,
    is_server_unfit,
)
from app.http.refusals import REFUSALS

logger = logging.getLogger("app.http")

RETRY_LATER = {"Retry-After": "1"}  # seconds
INVALID_TOKEN = {"token": ["is invalid"]}
TAKEN = ["has already been taken"]


class RequestError(Exception):
    """A request cannot be served: a status, and messages by field."""

    def __init__(self, status: int, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__(f"{status}: {errors}")
        self.status = status
        self.errors = errors


class Unauthorized(RequestError):
    """The request has no valid token or credentials."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(401, {field: [problem]})


class Forbidden(RequestError):
    """The resource belongs to someone else."""

    def __init__(self, resource: str) -> None:
        super().__init__(403, {resource: ["forbidden"]})


class Invalid(RequestError):
    """Values are not allowed: messages by field."""

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        super().__init__(422, errors)


class TryLater(RequestError):
    """Trying again later may succeed, and cannot do anything twice: messages by field."""

    def __init__(self, field: str, problem: str, status: int = 503) -> None:
        super().__init__(status, {field: [problem]})


class TooManyRequests(RequestError):
    """Too many were sent: messages by field, and the seconds after which the next may be served."""

    def __init__(self, field: str, problem: str, seconds: int) -> None:
        super().__init__(429, {field: [problem]})
        self.seconds = seconds


class Conflicts(RequestError):
    """Values are taken, by field."""

    def __init__(self, fields: Iterable[str]) -> None:
        super().__init__(409, dict.fromkeys(sorted(fields), TAKEN))


def error_response(
    status: int, errors: Mapping[str, Sequence[str]], headers: Mapping[str, str] | None = None
) -> Response:
    """`{"errors": {field: [message, ...]}}`."""
    return Response(to_json({"errors": errors}), status, media_type="application/json", headers=headers)


def _http_exception(error: HTTPException) -> Response:
    """Return the answer to errors of Starlette's router: no such route, no such method."""
    field, problem = {404: ("path", "not found"), 405: ("method", "not allowed")}.get(
        error.status_code, ("request", error.detail)
    )
    return error_response(error.status_code, {field: [problem]}, error.headers)


def _not_found(error: NotFound) -> Response:
    if error.resource == "viewer":
        return error_response(401, INVALID_TOKEN)
    return error_response(404, {error.resource: ["not found"]})


def busy(field: str, error: Exception) -> Response:
    """Count the refusal, and answer 503 with Retry-After: nothing was stored, and trying again may succeed."""
    REFUSALS.add(field, error)
    return error_response(503, {field: ["is busy or not available; try again in a moment"]}, RETRY_LATER)


def _unavailable(error: Exception) -> Response:
    if isinstance(error, DatabaseUnavailable) and error.may_be_done:
        return _unknown(error)
    return busy("database", error)


def _not_storable(error: BadArgument) -> Response:
    # The models refuse such values: a value that reaches this is a fault in a model, which the log shows.
    logger.warning("answered 422: %s", error)
    return error_response(422, {error.parameter: ["cannot be stored"]})


def _timed_out(error: StatementTimeout) -> Response:
    logger.warning("answered 504: %s", error)
    return error_response(504, {"database": ["took too long"]})


def _unknown(error: CommitUnknown | DatabaseUnavailable) -> Response:
    logger.error("answered 503: %s", error)
    # Without Retry-After: repeated without looking, the change may be stored twice.
    return error_response(503, {"database": ["was lost; the change may be stored or not, look before you repeat it"]})


def _crashed() -> Response:
    return error_response(500, {"server": ["failed; its log says why"]})


# The one table: what is raised anywhere below a handler, and what the client sees of it.
ANSWERS: dict[type[Exception], Callable[[Any], Response]] = {
    RequestError: lambda error: error_response(error.status, error.errors),
    TryLater: lambda error: error_response(error.status, error.errors, RETRY_LATER),
    TooManyRequests: lambda error: error_response(error.status, error.errors, {"Retry-After": str(error.seconds)}),
    NotFound: _not_found,
    Conflict: lambda error: error_response(409, {error.field: TAKEN}),
    BadArgument: _not_storable,
    PoolTimeout: _unavailable,
    DatabaseUnavailable: _unavailable,
    StatementTimeout: _timed_out,
    CommitUnknown: _unknown,
    HTTPException: _http_exception,
    ClientDisconnect: lambda _: error_response(400, {"body": ["was not sent to its end"]}),
    Exception: lambda error: _unavailable(error) if is_server_unfit(error) else _crashed(),
}


class AnswerCrashes:
    """ASGI middleware that answers and logs unexpected errors. It is inside CORS, so that browsers see the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application. If it fails before it answers, the answer is 500."""
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            if not is_server_unfit(error):
                logger.exception("%s %s failed", scope["method"], scope["path"])
            await ANSWERS[Exception](error)(scope, receive, send)


def exception_handlers(more: Mapping[type[Exception], Callable[[Any], Response]]) -> dict[Any, Any]:
    """Return Starlette's handlers of exceptions: those of ANSWERS, and `more` of the service's own."""
    return {kind: _handler(answer) for kind, answer in {**ANSWERS, **more}.items()}


def _handler(answer: Callable[[Any], Response]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(_: Request, error: Exception) -> Response:
        return answer(error)

    return handle
