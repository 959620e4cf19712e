"""Reads what a handler needs from a request, and says what is wrong with it."""

import json
import re
from typing import Any

from pydantic_core import PydanticCustomError
from starlette.requests import Request

from app.db import Database
from app.handlers.bodies import storable, too_long
from app.handlers.errors import Invalid, RequestError, Unauthorized
from app.repositories import users
from app.security import Passwords, Tokens

MAX_BIGINT = 2**63 - 1
# A slug has at most 300 characters of words, a hyphen and 19 digits; a user name has at most 100.
MAX_PATH_TEXT = 320
_INTEGER = re.compile(r"[0-9]{1,19}", re.ASCII)


def database(request: Request) -> Database:
    """The service's database."""
    return request.app.state.database


def passwords(request: Request) -> Passwords:
    """Hashes and verifies passwords."""
    return request.app.state.passwords


def tokens(request: Request) -> Tokens:
    """Issues and verifies access tokens."""
    return request.app.state.tokens


def user_id(request: Request) -> int:
    """The id of the user who asks; Unauthorized without a token, InvalidToken for a bad one."""
    viewer = viewer_id(request)
    if viewer is None:
        raise Unauthorized("token", "is missing")
    return viewer


def viewer_id(request: Request) -> int | None:
    """The id of the user who looks, None for a stranger; InvalidToken where a token is given and bad."""
    authorization = request.headers.get("authorization")
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() not in {"token", "bearer"}:
        raise Unauthorized("token", "is invalid")
    return tokens(request).verify(token.strip())


async def require_viewer(request: Request) -> None:
    """NotFound("viewer") when the request comes with the token of a user who is gone."""
    if viewer := viewer_id(request):
        await users.get_user(database(request), user_id=viewer)


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in the body; 413 over the size limit, 400 for anything else but an object."""
    try:
        # No field is a number, and a float takes any number of digits in the time that they take to read.
        text = (await _read_bytes(request)).decode("utf-8-sig")
        value = json.loads(text, parse_int=float, parse_constant=_refuse_constant)
    except RecursionError:
        raise RequestError(400, {"body": ["is nested too deeply"]}) from None
    except ValueError:
        raise RequestError(400, {"body": ["is not valid JSON"]}) from None
    if not isinstance(value, dict):
        raise RequestError(400, {"body": ["must be a JSON object"]})
    return value  # pyright: ignore[reportUnknownVariableType] - JSON: the caller validates it


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


async def _read_bytes(request: Request) -> bytes:
    limit: int = request.app.state.max_body_bytes
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise RequestError(413, {"body": [f"is longer than {limit} bytes"]})
    return bytes(body)


def path_text(request: Request, name: str) -> str:
    """A text in the path; "", which no row has, for a longer one than any: then that row is simply not found.

    Raises Invalid where no text column could hold it.
    """
    value: str = request.path_params[name]
    return _checked(name, value) if len(value) <= MAX_PATH_TEXT else ""


def path_key(request: Request, name: str) -> int:
    """A key in the path; 0, which no row has, for what cannot be a key: then that row is simply not found."""
    value = request.path_params[name]
    return int(value) if _INTEGER.fullmatch(value) and int(value) <= MAX_BIGINT else 0


def query_text(request: Request, name: str, longest: int) -> str | None:
    """A query parameter of at most `longest` characters, None where it is absent.

    Raises Invalid for a longer one, and where no text column could hold it.
    """
    value = request.query_params.get(name)
    if value is not None and len(value) > longest:
        raise Invalid({name: [too_long(longest)]})
    return None if value is None else _checked(name, value)


def query_number(request: Request, name: str, default: int, lowest: int, highest: int) -> int:
    """A query parameter that is a whole number; Invalid for anything else, or outside the limits."""
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
