"""The example: the public RealWorld API, known as Conduit."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from app.handlers import articles, comments, export, favorites, profiles, tags, users
from app.handlers.logins import LoginLimits, forget_attempts
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
    """Keep the threads that hash passwords open while the service runs, and forget old attempts to log in."""
    settings = app.state.settings
    app.state.passwords = Passwords(settings.password_workers)
    app.state.login_limits = LoginLimits(
        settings.login_window,
        settings.login_failures,
        settings.login_failures_of_address,
        settings.login_failures_of_account,
        settings.trusted_proxies or (),
    )
    forgetting = asyncio.create_task(forget_attempts(app.state.database, settings.login_window))
    try:
        yield
    finally:
        forgetting.cancel()
        await asyncio.gather(forgetting, return_exceptions=True)
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
