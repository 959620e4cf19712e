"""Registration, login, and the current user's account."""

import unicodedata
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from app.db import Conflict, Executor, NotFound
from app.handlers.logins import limited, succeeded
from app.http.bodies import BLANK, REQUIRED, SPACE, STORABLE, RequestBody, Rule, parse
from app.http.errors import Conflicts, Invalid, Unauthorized
from app.http.headers import NO_STORE
from app.http.operations import Operation
from app.http.requests import Viewer, database, read_object, required_viewer, sent_token
from app.http.responses import json_response
from app.repositories import users
from app.repositories.users import User
from app.security import MAX_PASSWORD, Passwords, Tokens

MAX_USERNAME = 100
MAX_EMAIL = 254
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
# The same for a JSON schema, which knows no categories: those of Unicode 14, but for a few beyond the first 65,536
# characters, which not every reader of patterns takes.
_BLANKS = (
    r"\u0000-\u0020\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u1680\u180e\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ufeff\ufff9-\ufffb"
)


def _reachable(value: str) -> str:
    """Return the value. Refuse it if no path leads to the profile: "/" ends a segment, "." and ".." are never sent."""
    if "/" in value:
        raise PydanticCustomError("unreachable", 'must not contain "/"')
    if value in {".", ".."}:
        raise PydanticCustomError("unreachable", 'must not be "." or ".."')
    return value


def _visible(value: str) -> str:
    """Return the value. Refuse it if nothing of it is visible: spaces, controls, and characters without width."""
    if all(unicodedata.category(character) in _INVISIBLE for character in value):
        raise PydanticCustomError("blank", BLANK)
    return value


def _address(value: str) -> str:
    mailbox, _, domain = value.rpartition("@")
    if not mailbox or not domain or any(character.isspace() for character in value):
        raise PydanticCustomError("email", "is not an e-mail address")
    return value


REACHABLE = Rule(_reachable, pattern=rf"^(?!\.{{1,2}}$)[^/\u0000]*[^/{_BLANKS}][^/\u0000]*$")
ADDRESS = Rule(_address, pattern=rf"^[^{SPACE}\u0000]+@[^{SPACE}@\u0000]+$")

Username = Annotated[str, Field(max_length=MAX_USERNAME), REQUIRED, AfterValidator(_visible), REACHABLE]
Email = Annotated[str, Field(max_length=MAX_EMAIL), REQUIRED, ADDRESS]
NewPassword = Annotated[str, Field(min_length=8, max_length=MAX_PASSWORD), REQUIRED]
ProfileText = Annotated[str, Field(max_length=2000), STORABLE]


class LoginUser(RequestBody):
    """Credentials. Longer ones than an account can have are wrong."""

    EXAMPLE: ClassVar[dict[str, Any]] = {"email": "ann@example.com", "password": "correct horse"}

    email: Annotated[str, REQUIRED, Field(json_schema_extra={"maxLength": MAX_EMAIL})]
    password: Annotated[str, REQUIRED, Field(json_schema_extra={"maxLength": MAX_PASSWORD})]


class NewUser(RequestBody):
    """An account to register."""

    EXAMPLE: ClassVar[dict[str, Any]] = {"username": "ann", "email": "ann@example.com", "password": "correct horse"}

    username: Username
    email: Email
    password: NewPassword


class UpdateUser(RequestBody):
    """Changes to an account. An absent field stays as it is; null or "" clears bio and image."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    EXAMPLE: ClassVar[dict[str, Any]] = {"bio": "I write about gardens."}

    username: Username = Field(default_factory=str)
    email: Email = Field(default_factory=str)
    password: NewPassword = Field(default_factory=str)
    bio: ProfileText | None = None
    image: ProfileText | None = None


class ImportedUser(RequestBody):
    """An account that comes from another system."""

    username: Username
    email: Email
    bio: ProfileText | None
    image: ProfileText | None


class UserJson(TypedDict):
    """An account as its owner sees it, with a token: the one sent, or a new one if half of its time is over."""

    email: str
    token: str
    username: str
    bio: str | None
    image: str | None


class OneUser(TypedDict):
    """An account."""

    user: UserJson


async def viewer_exists(db: Executor, viewer: Viewer) -> None:
    """Raise NotFound("viewer") when the user no longer exists, or the tokens of this generation were ended."""
    await users.get_user(db, user_id=viewer.id, generation=viewer.generation)


def _passwords(request: Request) -> Passwords:
    return request.app.state.passwords


def _tokens(request: Request) -> Tokens:
    return request.app.state.tokens


def _user_response(user: User, token: str, status: int = 200) -> Response:
    answer: OneUser = {
        "user": {
            "email": user.email,
            "token": token,
            "username": user.username,
            "bio": user.bio,
            "image": user.image,
        }
    }
    return json_response(answer, status, NO_STORE)


@asynccontextmanager
async def _naming_all_that_is_taken(
    db: Executor, user_id: int | None, username: str | None, email: str | None
) -> AsyncGenerator[None]:
    """Name both fields if both are taken: the server reports only the first violated constraint."""
    try:
        yield
    except Conflict as conflict:
        taken = await users.get_taken(db, user_id=user_id, username=username, email=email)
        # What was taken when it was written is named, too, if it is free by now.
        found = {"username": taken.username, "email": taken.email, conflict.field: True}
        raise Conflicts(field for field, is_taken in found.items() if is_taken) from conflict


async def create_user(request: Request) -> Response:
    """Register an account."""
    new = parse(await read_object(request), "user", NewUser)
    password_hash = await _passwords(request).hash(new.password)
    db = database(request)
    async with _naming_all_that_is_taken(db, None, new.username, new.email):
        user = await users.create_user(db, username=new.username, email=new.email, password_hash=password_hash)
    return _user_response(user, _tokens(request).issue(user.id), 201)


async def login(request: Request) -> Response:
    """Log in with e-mail address and password."""
    credentials = parse(await read_object(request), "user", LoginUser)
    if len(credentials.email) > MAX_EMAIL or len(credentials.password) > MAX_PASSWORD:
        raise Unauthorized("credentials", "invalid")
    async with limited(request, credentials.email):
        account = await users.find_account(database(request), email=credentials.email)
        password_hash = account.password_hash if account else None
        # Also without an account: an unknown address must take as long to refuse as a wrong password.
        matches = await _passwords(request).verify(password_hash, credentials.password)
    if account is None or not matches:
        raise Unauthorized("credentials", "invalid")
    await succeeded(request, credentials.email)
    return _user_response(account.user, _tokens(request).issue(account.user.id, account.token_generation))


async def get_current_user(request: Request) -> Response:
    """Get the current user's account."""
    viewer = required_viewer(request)
    user = await users.get_user(database(request), user_id=viewer.id, generation=viewer.generation)
    return _user_response(user, _tokens(request).renew(sent_token(request), *viewer))


async def update_current_user(request: Request) -> Response:
    """Change the current user's account."""
    viewer = required_viewer(request)
    changes = parse(await read_object(request), "user", UpdateUser)
    given = changes.model_fields_set
    if not given:
        raise Invalid({"user": ["needs at least one field to change"]})
    db, username, email = database(request), changes.username or None, changes.email or None
    password_hash = await _passwords(request).hash(changes.password) if changes.password else None
    async with _naming_all_that_is_taken(db, viewer.id, username, email):
        user = await users.update_user(
            db,
            user_id=viewer.id,
            generation=viewer.generation,
            username=username,
            email=email,
            password_hash=password_hash,
            sets_bio="bio" in given,
            bio=changes.bio or None,
            sets_image="image" in given,
            image=changes.image or None,
        )
    return _user_response(user, _tokens(request).renew(sent_token(request), *viewer))


async def end_tokens(request: Request) -> Response:
    """Log out everywhere: end all tokens of the current user's account, the one sent too."""
    viewer = required_viewer(request)
    if not await users.end_tokens(database(request), user_id=viewer.id, generation=viewer.generation):
        raise NotFound("viewer")
    return Response(status_code=204)


_TAG = "User and Authentication"
operations = [
    Operation(
        "POST", "/api/users/login", login, _TAG, OneUser, body=("user", LoginUser), refusals=(400, 401, 413, 429, 503)
    ),
    Operation(
        "POST", "/api/users", create_user, _TAG, OneUser, 201, body=("user", NewUser), refusals=(400, 409, 413, 503)
    ),
    Operation("GET", "/api/user", get_current_user, _TAG, OneUser, viewer="required"),
    Operation(
        "PUT", "/api/user", update_current_user, _TAG, OneUser, viewer="required", body=("user", UpdateUser),
        refusals=(400, 409, 413, 503),
    ),
    # DELETE of what is ended, and no POST of a verb: sent twice by a client that lost the answer, it does no more.
    Operation("DELETE", "/api/user/tokens", end_tokens, _TAG, status=204, viewer="required"),
]  # fmt: skip
