"""The composition root: settings -> Database -> Starlette."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from app.db import BinderyError, Database
from app.handlers import articles, comments, export, favorites, health, profiles, tags, users
from app.handlers.disconnect import CancelAbandoned
from app.handlers.docs import docs_routes
from app.handlers.errors import ANSWERS, AnswerCrashes, answer_error
from app.handlers.export import Exports
from app.handlers.headers import SafeHeaders
from app.handlers.openapi import openapi_document
from app.handlers.operations import routes
from app.migrations import migration_ids
from app.security import Passwords, Tokens
from app.settings import Settings, SettingsError

logger = logging.getLogger("app.main")

OPERATIONS = [
    operation
    for resource in (users, profiles, articles, export, comments, favorites, tags, health)
    for operation in resource.operations
]
TITLE = "Conduit on Bindery"
FORGET_EVERY = 3600.0  # seconds
FAVICON = Path(__file__).parent / "handlers" / "favicon.svg"
# A generic plan is made once for each statement and connection; every statement in sql/ is written to have a good one.
# Compiling queries to machine code pays for reports, not for look-ups.
SERVER_SETTINGS = {"plan_cache_mode": "force_generic_plan", "jit": "off"}


def create_app(settings: Settings) -> Starlette:
    """The service. Its lifespan opens the pool and closes it, waiting for connections in use.

    Raises SettingsError when DATABASE_URL or SECRET_KEY is missing.
    """
    if settings.secret_key is None:
        raise SettingsError("SECRET_KEY: is not set; allowed: at least 32 random bytes")
    app = Starlette(
        routes=[
            *routes(OPERATIONS),
            Route("/", to_docs),
            *docs_routes(TITLE),
            Route("/openapi.json", openapi_json),
            Route("/favicon.ico", favicon),
        ],
        lifespan=lifespan,
        exception_handlers=dict.fromkeys(ANSWERS, answer_error),
        middleware=[
            Middleware(CancelAbandoned),
            Middleware(SafeHeaders),
            cors(settings.cors_origins),
            Middleware(AnswerCrashes),
        ],
    )
    app.state.database = database(settings)
    app.state.tokens = Tokens(settings.secret_key.get_secret_value(), settings.token_ttl)
    app.state.password_workers = settings.password_workers
    app.state.max_body_bytes = settings.max_body_bytes
    # One connection is left for the other routes, if there are two.
    most = max(1, settings.db_pool_size + settings.db_max_overflow - 1)
    app.state.exports = Exports(min(settings.export_connections, most), settings.export_read_timeout)
    app.state.migrations = migration_ids()
    return app


def database(settings: Settings) -> Database:
    """The pool that the settings describe, not yet open."""
    return Database(
        settings.database_dsn,
        min_size=settings.db_pool_size,
        max_size=settings.db_pool_size + settings.db_max_overflow,
        max_waiting=settings.db_pool_max_waiting,
        acquire_timeout=settings.db_pool_timeout,
        connect_timeout=settings.db_connect_timeout,
        close_timeout=settings.shutdown_timeout,
        startup_wait=settings.db_startup_wait,
        idle_timeout=settings.db_pool_idle_timeout,
        max_lifetime=settings.db_pool_max_lifetime,
        keepalive=settings.db_pool_keepalive,
        pre_ping=settings.db_pool_pre_ping,
        ping_after=settings.db_pool_pre_ping_after,
        statement_timeout=settings.db_statement_timeout,
        server_settings=SERVER_SETTINGS,
        password=settings.db_password_file,
        pgbouncer=settings.db_pgbouncer,
    )


def cors(origins: tuple[str, ...]) -> Middleware:
    """Browsers may call the API from these origins; a token travels in a header, so no cookie needs to."""
    return Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        # Whichever a browser asks for: HTTP libraries add some of their own, and none of them gives a right.
        allow_headers=["*"],
        expose_headers=["Link", "Retry-After"],
        max_age=3600,
    )


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    """Open while the service runs: the pool, and the threads that hash passwords."""
    async with app.state.database:
        app.state.passwords = Passwords(app.state.password_workers)
        forgetting = asyncio.create_task(forget_tokens(app.state.database))
        try:
            yield
        finally:
            forgetting.cancel()
            await asyncio.gather(forgetting, return_exceptions=True)
            app.state.passwords.close()


async def forget_tokens(database: Database) -> None:
    """Every hour, delete the tokens of `Database.run()` that nobody can need any more."""
    while True:
        await asyncio.sleep(FORGET_EVERY)
        try:
            await database.forget_tokens()
        except BinderyError as error:
            logger.warning("old tokens stay until the next hour: %s", error)


@cache
def document() -> dict[str, object]:
    """The OpenAPI document of the service."""
    return openapi_document(TITLE, version("bindery"), OPERATIONS)


async def openapi_json(request: Request) -> Response:
    """GET /openapi.json."""
    return Response(to_json(document()), media_type="application/json")


async def to_docs(request: Request) -> Response:
    """GET /: whoever opens the address that the start line prints sees what there is."""
    return Response(status_code=307, headers={"Location": "docs"})


async def favicon(request: Request) -> Response:
    """GET /favicon.ico."""
    return FileResponse(FAVICON, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})
