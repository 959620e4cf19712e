"""Reads what a handler needs from a request, and says what is wrong with it."""

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError
from starlette.requests import Request

from app.db import Database
from app.handlers.errors import Invalid, RequestError, Unauthorized
from app.repositories import users
from app.security import Passwords, Tokens

MAX_BIGINT = 2**63 - 1
UNSTORABLE = "contains a NUL or half a surrogate pair, which text in PostgreSQL cannot hold"
_INTEGER = re.compile(r"[0-9]{1,19}", re.ASCII)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
Body = TypeVar("Body", bound="RequestBody")


def _storable(value: str) -> str:
    if _UNSTORABLE.search(value):
        raise PydanticCustomError("unstorable", UNSTORABLE)
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("blank", "can't be blank")
    return value


Text = Annotated[str, AfterValidator(_storable)]
RequiredText = Annotated[Text, AfterValidator(_not_blank)]


class RequestBody(BaseModel):
    """An object in a request body: camelCase names, strict types, unknown fields ignored."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, extra="ignore", hide_input_in_errors=True)


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
        value = json.loads((await _read_bytes(request)).decode("utf-8-sig"), parse_constant=_refuse_constant)
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


def parse(body: dict[str, Any], envelope: str, model: type[Body]) -> Body:
    """The object inside the envelope, `{"user": {...}}`, as a model; Invalid names each field at fault."""
    if envelope not in body or body[envelope] is None:
        raise Invalid({envelope: ["can't be blank"]})
    try:
        return model.model_validate(body[envelope])
    except ValidationError as error:
        raise Invalid(_by_field(error, envelope)) from None


def _by_field(error: ValidationError, envelope: str) -> dict[str, list[str]]:
    problems: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False, include_context=True, include_input=True):
        field = str(detail["loc"][0]) if detail["loc"] else envelope
        messages = problems.setdefault(field, [])
        if (message := _sentence(detail)) not in messages:
            messages.append(message)
    return problems


def _sentence(detail: ErrorDetails) -> str:
    """One clear sentence about a value; what is absent or null reads the same as what is blank."""
    if detail["type"] == "missing" or (detail["input"] is None and detail["type"] == "string_type"):
        return "can't be blank"
    limits = detail.get("ctx", {})
    sentences: dict[str, Callable[[], str]] = {
        "string_type": lambda: "must be a string",
        "string_unicode": lambda: UNSTORABLE,
        "string_too_short": lambda: f"is too short (at least {limits['min_length']} characters)",
        "string_too_long": lambda: f"is too long (at most {limits['max_length']} characters)",
        "list_type": lambda: "must be a list",
        "too_long": lambda: f"has too many entries (at most {limits['max_length']})",
        "model_type": lambda: "must be an object",
    }
    return sentences.get(detail["type"], lambda: detail["msg"])()


def path_text(request: Request, name: str) -> str:
    """A path parameter; Invalid where PostgreSQL could not store it."""
    return _checked(name, request.path_params[name])


def path_key(request: Request, name: str) -> int:
    """A key in the path; 0, which no row has, for what cannot be a key: then that row is simply not found."""
    value = request.path_params[name]
    return int(value) if _INTEGER.fullmatch(value) and int(value) <= MAX_BIGINT else 0


def query_text(request: Request, name: str) -> str | None:
    """A query parameter, None where it is absent; Invalid where PostgreSQL could not store it."""
    value = request.query_params.get(name)
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
    if _UNSTORABLE.search(value):
        raise Invalid({name: [UNSTORABLE]})
    return value
