"""Fixtures: a PostgreSQL server for the session, a database of its own for every test, and the service on it."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
import uvloop
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.db import Database
from app.dsn import normal_dsn
from app.embedded import EmbeddedPostgres
from app.main import create_app
from app.migration_files import MIGRATIONS
from app.roles.migrated import login_as, service_statements, set_up_and_migrate
from app.roles.names import KINDS, RoleNames
from app.roles.setup import Plan
from app.settings import Settings, SettingsError, load_settings
from tests.databases import TemplateDatabase, memory, refuse_unless_test_database, replace_database
from tests.documented import OpenApiDocument
from tests.pgbouncer import bouncing, is_in_between

STOP_TIMEOUT = 30
MOST_WORKERS = 16
# For each login of each database: a test may hold some in transactions that others wait for.
SESSIONS_OF_PGBOUNCER = 8
LAYER = Path(__file__).parent / "db"
[LAYERS_TABLE] = [path for path in MIGRATIONS.glob("*.create-commit-tokens.sql") if "rollback" not in path.name]
SECRET_KEY = "a key of the tests, long enough for HMAC-SHA-256"


def pytest_xdist_auto_num_workers() -> int | None:
    """Twice as many processes as the machine has cores, since half of the time tests wait; each has its own server.

    PYTEST_XDIST_AUTO_NUM_WORKERS is another number.
    """
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return min(2 * (os.cpu_count() or 1), MOST_WORKERS)


def pytest_configure() -> None:
    """Refuse the wrong database before anything runs; no property of a function is how long it takes."""
    hypothesis_settings.register_profile("bindery", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis_settings.load_profile("bindery")
    try:
        given_server_dsn()
        is_in_between()
    except (SettingsError, ValueError) as error:
        raise pytest.UsageError(str(error)) from None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, in each process: begun last, or by one of them, it would run alone.

    pytest-xdist gives each process a part of the list, one after the other, and takes from the end of a part.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("long")]
    rest = iter([item for item in items if not item.get_closest_marker("long")])
    ordered: list[pytest.Item] = []
    for number in range(processes):
        size, first = (len(items) - len(ordered)) // (processes - number), long[number::processes]
        ordered += [*first, *islice(rest, max(0, size - len(first)))]
    items[:] = [*ordered, *rest]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The layer runs on asyncio's loop and on uvloop; the service always runs on uvloop.

    What a statement, its arguments and its rows mean is the same on both: tests with the mark `one_loop` run once.
    """
    if item.path.is_relative_to(LAYER) and item.get_closest_marker("one_loop") is None:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


def given_server_dsn() -> str | None:
    """The database that TEST_DATABASE_URL names; ValueError when its name says that it is not for tests."""
    url = load_settings(needs_secret_key=False).test_database_url
    if url is None:
        return None
    dsn = normal_dsn(url.get_secret_value())
    refuse_unless_test_database(dsn)
    return dsn


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """The server of the tests: TEST_DATABASE_URL, or an embedded one that ends with the session."""
    if dsn := given_server_dsn():
        yield dsn
        return
    server = EmbeddedPostgres(Path(tempfile.mkdtemp(prefix="bindery-", dir=memory())), keep=False)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def template_database(server_dsn: str) -> Iterator[TemplateDatabase]:
    """The migrated database that each test gets a copy of."""
    with psycopg.connect(server_dsn, autocommit=True) as server:
        template = TemplateDatabase(server, server_dsn)
        try:
            template.create()
            plan = Plan(RoleNames(template.name.removesuffix("_test")), service_statements())
            outcome = set_up_and_migrate(template.dsn, plan)
            template.application = plan.names.application, outcome.passwords["application"]
            template.freeze()
            yield template
        finally:
            template.drop()
            for name in map(RoleNames(template.name.removesuffix("_test")).of, KINDS):
                server.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def layer_database(server_dsn: str) -> Iterator[TemplateDatabase]:
    """The database that each test of the layer gets a copy of: it has the layer's own table and no other."""
    with psycopg.connect(server_dsn, autocommit=True) as server:
        template = TemplateDatabase(server, server_dsn)
        try:
            template.create()
            with psycopg.connect(template.dsn, autocommit=True) as connection:
                connection.execute(LAYERS_TABLE.read_bytes())
            template.freeze()
            yield template
        finally:
            template.drop()


@pytest.fixture(scope="session")
def pgbouncer(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """A DSN that leads to the server's databases through a PgBouncer, if POSTGRES_THROUGH says so."""
    if not is_in_between():
        yield None
        return
    with bouncing(request.getfixturevalue("server_dsn"), connections=SESSIONS_OF_PGBOUNCER) as dsn:
        yield dsn


@pytest.fixture
def direct_url(template_database: TemplateDatabase) -> Iterator[str]:
    """The DSN of this test's own migrated database, past any PgBouncer."""
    with template_database.copy() as dsn:
        yield dsn


@pytest.fixture
def database_url(direct_url: str, pgbouncer: str | None) -> str:
    """The DSN of this test's own migrated database."""
    return replace_database(pgbouncer, str(conninfo_to_dict(direct_url)["dbname"])) if pgbouncer else direct_url


@pytest.fixture
def database(database_url: str, direct_url: str) -> dict[str, str]:
    """The settings by which a process works on this test's own database."""
    return {"DATABASE_URL": database_url} | ({"MIGRATION_DATABASE_URL": direct_url} if is_in_between() else {})


@pytest.fixture
async def db(direct_url: str) -> AsyncIterator[Database]:
    """This test's own database, as a program without HTTP uses it, past any PgBouncer."""
    async with Database(direct_url, min_size=1, max_size=5) as database:
        yield database


@pytest.fixture
def service_dsn(database_url: str, template_database: TemplateDatabase) -> str:
    """The DSN by which a service uses this test's own database: it may do what its statements need, and no more."""
    return login_as(database_url, *template_database.application)


@pytest.fixture
def settings(service_dsn: str) -> Settings:
    """Settings of a service on this test's own database, whatever the environment says."""
    return settings_for(service_dsn)


def settings_for(dsn: str) -> Settings:
    """Settings of a service on this database; the defaults for the rest, whatever the environment and .env say."""
    with pytest.MonkeyPatch.context() as environment:
        for name in Settings.model_fields:
            environment.delenv(name.upper(), raising=False)
        secrets: dict[str, Any] = {"database_url": SecretStr(dsn), "secret_key": SecretStr(SECRET_KEY)}
        # A connection costs more than most tests: open one, and others when they are needed.
        pool = {"db_pool_size": 1, "db_max_overflow": 4, "db_pgbouncer": is_in_between()}
        return Settings(_env_file=None, environment="development", **secrets, **pool)  # pyright: ignore[reportCallIssue] - BaseSettings' own parameter


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Starlette]:
    """The service, started."""
    app = create_app(settings)
    lifespan = app.router.lifespan_context(app)
    await lifespan.__aenter__()
    try:
        yield app
    finally:
        # A service that does not stop fails its test instead of holding up all the others.
        async with asyncio.timeout(STOP_TIMEOUT):
            await lifespan.__aexit__(None, None, None)


@pytest.fixture(scope="session")
def openapi_document() -> OpenApiDocument:
    """What the service promises; it needs no database to say it."""
    app = create_app(settings_for("postgresql://127.0.0.1/unused"))
    document: dict[str, Any] = TestClient(app).get("/openapi.json").json()
    return OpenApiDocument(document)


@pytest.fixture
async def client(app: Starlette, openapi_document: OpenApiDocument) -> AsyncIterator[httpx2.AsyncClient]:
    """A stranger. Every answer is checked against the service's OpenAPI document; a crash is a visible 500."""

    async def check(response: httpx2.Response) -> None:
        await response.aread()
        openapi_document.check(response)

    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://testserver", event_hooks={"response": [check]}
    ) as client:
        yield client
