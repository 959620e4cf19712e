"""Reads the parts of a request, and says what is wrong with them."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from pydantic_core import PydanticCustomError
from starlette.requests import Request

from app.db import Connection, Database, Executor
from app.http.bodies import storable, too_long
from app.http.errors import Invalid, RequestError, Unauthorized


class Viewer(NamedTuple):
    """The user who asks: their id, and the generation of the token they ask with."""

    id: int
    generation: int


class Stranger(NamedTuple):
    """Someone who asks without a token."""

    id: None = None
    generation: None = None


VerifyToken = Callable[[str], Viewer | None]
"""Returns whom a token was issued to, None for an invalid token."""
ViewerExists = Callable[[Executor, Viewer], Awaitable[object]]
"""Raises NotFound("viewer") when the user no longer exists, or the tokens of this generation were ended."""
STRANGER = Stranger()
MAX_BIGINT = 2**63 - 1
# Longer than any text that identifies a row; a path with a longer one leads nowhere.
MAX_PATH_TEXT = 320
_INTEGER = re.compile(r"[0-9]{1,19}", re.ASCII)


def database(request: Request) -> Database | Connection:
    """Return the service's database; for a request with an Idempotency-Key, the connection in its transaction.

    There `transaction()` is a savepoint, without options, and one statement runs at a time.
    """
    return request.scope.get("transaction") or request.app.state.database


def service_database(request: Request) -> Database:
    """Return the service's database, outside of any transaction."""
    return request.app.state.database


def required_viewer(request: Request) -> Viewer:
    """Return the user who asks. Raises Unauthorized without a token or for an invalid one.

    Whether the user still exists, and their tokens were not ended, is for the first statement to say.
    """
    viewer = optional_viewer(request)
    if viewer.id is None:
        raise Unauthorized("token", "is missing")
    return viewer


def optional_viewer(request: Request) -> Viewer | Stranger:
    """Return the user who asks, STRANGER without a token. Raises Unauthorized for an invalid one."""
    token = sent_token(request)
    if token is None:
        return STRANGER
    verify: VerifyToken = request.app.state.verify_token
    viewer = verify(token)
    if viewer is None:
        raise Unauthorized("token", "is invalid")
    return viewer


def sent_token(request: Request) -> str | None:
    """Return the token in the request's Authorization, None without one. Raises Unauthorized for another scheme."""
    authorization = request.headers.get("authorization")
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() not in {"token", "bearer"}:
        raise Unauthorized("token", "is invalid")
    return token.strip()


async def require_viewer(request: Request) -> None:
    """Raise NotFound("viewer") when the request has the token of a user who no longer exists, or one that was ended."""
    exists: ViewerExists | None = request.app.state.viewer_exists
    viewer = optional_viewer(request)
    if exists and viewer.id is not None:
        await exists(database(request), viewer)


async def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body. Raises RequestError with 413 over the size limit, 400 for other content."""
    try:
        text = (await read_bytes(request)).decode("utf-8-sig")
        value = json.loads(text, parse_int=_number, parse_constant=_refuse_constant)
    except RecursionError:
        raise RequestError(400, {"body": ["is nested too deeply"]}) from None
    except ValueError:
        raise RequestError(400, {"body": ["is not valid JSON"]}) from None
    if not isinstance(value, dict):
        raise RequestError(400, {"body": ["must be a JSON object"]})
    return value  # pyright: ignore[reportUnknownVariableType] - JSON: the caller validates it


def _number(digits: str) -> int | float:
    # An int of many digits takes quadratic time to read, a float linear time. No column holds more than 19 digits.
    return int(digits) if len(digits) <= 20 else float(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


async def read_bytes(request: Request) -> bytes:
    """Return the body. Raises RequestError with 413 over the size limit."""
    limit: int = request.app.state.max_body_bytes
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise RequestError(413, {"body": [f"is longer than {limit} bytes"]})
    return bytes(body)


def path_text(request: Request, name: str) -> str:
    """Return a text in the path; "", which no row has, for one that is too long: then the row is not found.

    Raises Invalid when no text column could hold it.
    """
    value: str = request.path_params[name]
    return _checked(name, value) if len(value) <= MAX_PATH_TEXT else ""


def path_key(request: Request, name: str) -> int:
    """Return a key in the path; 0, which no row has, for anything else: then the row is not found."""
    value = request.path_params[name]
    return int(value) if _INTEGER.fullmatch(value) and int(value) <= MAX_BIGINT else 0


def query_text(request: Request, name: str, longest: int) -> str | None:
    """Return a query parameter of at most `longest` characters, None if it is absent.

    Raises Invalid for a longer one, or one that no text column could hold.
    """
    value = request.query_params.get(name)
    if value is not None and len(value) > longest:
        raise Invalid({name: [too_long(longest)]})
    return None if value is None else _checked(name, value)


def query_number(request: Request, name: str, default: int, lowest: int, highest: int) -> int:
    """Return a query parameter that is a whole number. Raises Invalid for another value or one out of range."""
    value = request.query_params.get(name)
    if value is None:
        return default
    if not _INTEGER.fullmatch(value) or not lowest <= int(value) <= highest:
        raise Invalid({name: [f"must be a whole number from {lowest} to {highest}"]})
    return int(value)


def _checked(name: str, value: str) -> str:
    try:
        return storable(value)
    except PydanticCustomError as error:
        raise Invalid({name: [error.message()]}) from None
