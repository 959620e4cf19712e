"""The example: the public RealWorld API, known as Conduit."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from app.handlers import articles, comments, export, favorites, profiles, tags, users
from app.http.api import Api
from app.http.errors import busy
from app.http.requests import MAX_BIGINT
from app.security import Passwords, PasswordsBusy

_ABOUT = """
The [RealWorld](https://docs.realworld.show) API, and what it leaves out: cursors, an export, health.

To send what needs a token: run **POST /api/users** (or **/api/users/login**, for an account that there is), copy the
value of `token` from its answer, press **Authorize** and paste it. A lock marks the operations that take a token.

Lists tell in their `Link` header where they go on. The description for machines is [openapi.json](openapi.json).
""".strip()
_PATH_PARAMETERS = {
    "id": {
        "description": "The number of the comment.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_BIGINT},
    },
    "slug": {
        "description": "The article's `slug`, from the answer to publishing it or from a list.",
        "schema": {"type": "string", "minLength": 1},
    },
    "username": {
        "description": "The account's name.",
        "schema": {"type": "string", "minLength": 1},
        "example": "ann",
    },
}


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncGenerator[None]:
    """Keep the threads that hash passwords open while the service runs."""
    app.state.passwords = Passwords(app.state.settings.password_workers)
    try:
        yield
    finally:
        app.state.passwords.close()


OPERATIONS = [
    *users.operations,
    *profiles.operations,
    *articles.operations,
    *export.operations,
    *comments.operations,
    *favorites.operations,
    *tags.operations,
]
API = Api(
    title="Conduit on Bindery",
    about=_ABOUT,
    operations=OPERATIONS,
    path_parameters=_PATH_PARAMETERS,
    answers={PasswordsBusy: lambda error: busy("password", error)},
    viewer_exists=users.viewer_exists,
    lifespan=_lifespan,
)
