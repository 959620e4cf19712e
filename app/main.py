"""The composition root: settings -> Database -> Starlette."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from app import __version__
from app.board import Board
from app.db import BinderyError, Database
from app.handlers.conduit import API  # the one line that names the example: python -m app own NAME replaces it
from app.http.admission import Admission
from app.http.docs import docs_routes
from app.http.endpoints import Service
from app.http.health import HealthChecks
from app.http.idempotency.once import Once
from app.http.openapi import openapi_document
from app.http.operations import Operation
from app.http.requests import VerifyToken, Viewer
from app.http.streaming import Exports
from app.login import refuse_superuser
from app.migration_files import migration_ids
from app.repositories import all_queries, health, idempotency
from app.security import InvalidToken, Tokens
from app.settings import Settings, SettingsError
from app.telemetry import Telemetry

logger = logging.getLogger("app.main")

FORGET_EVERY = 3600.0  # seconds
MONITOR_TIMEOUT = 2.0  # seconds
FAVICON = Path(__file__).parent / "http" / "favicon.svg"
# A generic plan is made once for each statement and connection; every statement in sql/ is written to have a good one.
# Compiling queries to machine code pays for reports, not for look-ups.
SERVER_SETTINGS = {"plan_cache_mode": "force_generic_plan", "jit": "off"}


def create_app(settings: Settings, board: Board | None = None) -> Starlette:
    """Return the service. Its lifespan opens the pool and closes it, waiting for connections in use.

    `board` is what several workers share.

    Raises SettingsError when DATABASE_URL or SECRET_KEY is missing.
    """
    if settings.secret_key is None:
        raise SettingsError("SECRET_KEY: is not set; allowed: at least 32 random bytes")
    telemetry = Telemetry(settings, database(settings), monitors_database(settings), all_queries(), board)
    others = [
        Route("/", to_docs),
        *telemetry.routes(settings),
        *docs_routes(API.title),
        Route("/openapi.json", openapi_json),
        Route("/favicon.ico", favicon),
    ]
    app = Service(
        operations(),
        API.answers,
        cors(settings.cors_origins),
        others,
        lifespan=lifespan,
        watch=telemetry.watch,
        once=Once(idempotency.try_lock, idempotency.find_answer, idempotency.create_answer),
    )
    app.state.settings = settings
    app.state.telemetry = telemetry
    app.state.database = telemetry.database
    previous = settings.secret_key_previous
    app.state.tokens = Tokens(
        settings.secret_key.get_secret_value(), settings.token_ttl, previous.get_secret_value() if previous else None
    )
    app.state.verify_token = token_verifier(app.state.tokens)
    app.state.viewer_exists = API.viewer_exists
    app.state.max_body_bytes = settings.max_body_bytes
    most = settings.db_pool_size + settings.db_max_overflow
    app.state.admission = Admission(settings.overload_target, least=most)
    telemetry.watch.on_end.append(app.state.admission.ended)
    # One connection is left for the other routes, if there are two.
    exports = min(settings.export_connections, max(1, most - 1))
    app.state.exports = Exports(exports, settings.export_read_timeout)
    return app


@cache
def operations() -> list[Operation]:
    """Return the operations of the service, health among them."""
    checks = HealthChecks(migration_ids(), health.list_applied_migrations, health.delete_nothing)
    return [*API.operations, *checks.operations]


def token_verifier(tokens: Tokens) -> VerifyToken:
    """Return a function from a token to the viewer that it was issued to, or None for an invalid token."""

    def verify(token: str) -> Viewer | None:
        try:
            return Viewer(*tokens.verify(token))
        except InvalidToken:
            return None

    return verify


def database(settings: Settings) -> Database:
    """Return the pool that the settings describe, not yet open."""
    return Database(
        settings.database_dsn,
        min_size=settings.db_pool_size,
        max_size=settings.db_pool_size + settings.db_max_overflow,
        max_waiting=settings.db_pool_max_waiting,
        connect_rate=settings.db_pool_connect_rate,
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


def monitors_database(settings: Settings) -> Database:
    """Return a pool of one connection with short limits, which is opened when someone looks at the monitor."""
    return Database(
        settings.database_dsn,
        min_size=1,
        max_size=1,
        max_waiting=10,
        acquire_timeout=MONITOR_TIMEOUT,
        connect_timeout=MONITOR_TIMEOUT,
        close_timeout=1.0,
        statement_timeout=MONITOR_TIMEOUT,
        application_name="bindery monitor",
        server_settings=SERVER_SETTINGS,
        password=settings.db_password_file,
        pgbouncer=settings.db_pgbouncer,
    )


def cors(origins: tuple[str, ...]) -> Middleware:
    """Let browsers call the API from these origins. A token is sent in a header, so cookies are not needed."""
    return Middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        # HTTP libraries add headers of their own, and none of them grants a right.
        allow_headers=["*"],
        expose_headers=["Link", "Retry-After", "X-Request-Id", "Idempotent-Replayed"],
        max_age=3600,
    )


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    """Keep the pool open while the service runs, and what its API needs."""
    async with app.state.database, app.state.telemetry.running(), API.lifespan(app):
        await refuse_superuser(app.state.database, app.state.settings)
        lifetime = app.state.settings.idempotency_key_lifetime
        forgetting = asyncio.create_task(forget_tokens(app.state.database, lifetime))
        try:
            yield
        finally:
            forgetting.cancel()
            await asyncio.gather(forgetting, return_exceptions=True)


async def forget_tokens(database: Database, lifetime: float) -> None:
    """Every hour, delete the old tokens of `Database.run()`, and answers older than `lifetime` seconds."""
    while True:
        await asyncio.sleep(FORGET_EVERY)
        try:
            await database.forget_tokens()
            await idempotency.forget_answers(database, lifetime=lifetime)
        except BinderyError as error:
            logger.warning("old tokens and answers stay until the next hour: %s", error)


@cache
def document() -> dict[str, object]:
    """Return the OpenAPI document of the service."""
    return openapi_document(__version__, API, operations())


async def openapi_json(request: Request) -> Response:
    """GET /openapi.json."""
    return Response(to_json(document()), media_type="application/json")


async def to_docs(request: Request) -> Response:
    """GET /: the address that the start line prints leads to the docs page."""
    return Response(status_code=307, headers={"Location": "docs"})


async def favicon(request: Request) -> Response:
    """GET /favicon.ico."""
    return FileResponse(FAVICON, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})
