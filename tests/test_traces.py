"""Traces: which spans there are, what is in them, and that a service without them imports nothing of OpenTelemetry."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import asyncpg
import httpx2
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette

from app.db import Database, Work
from app.main import create_app
from app.repositories import health
from app.settings import Settings
from app.traces import traced_work
from tests.processes import TIMEOUT, environment, started

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET_KEY = "a key of the tests, long enough for HMAC-SHA-256"
EXPORTED = InMemorySpanExporter()


@pytest.fixture
def service_dsn(database_url: str) -> str:
    """The DSN of a superuser: these tests break the database by the service's own pool."""
    return database_url


@pytest.fixture(scope="module")
def provider() -> TracerProvider:
    """A provider that the program has set, which a process can do once."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(EXPORTED))
    trace.set_tracer_provider(provider)
    return provider


@pytest.fixture
def spans(provider: TracerProvider) -> Spans:
    EXPORTED.clear()
    return Spans()


class Spans:
    """The spans that have ended, by name."""

    def all(self) -> tuple[ReadableSpan, ...]:
        return EXPORTED.get_finished_spans()

    def names(self) -> list[str]:
        return [span.name for span in self.all()]

    def one(self, name: str) -> ReadableSpan:
        [found] = [span for span in self.all() if span.name == name]
        return found


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


@pytest.fixture
async def traced(spans: Spans, settings: Settings) -> AsyncIterator[Starlette]:
    """A started service with traces."""
    app = create_app(settings.model_copy(update={"traces": True}))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def visitor(traced: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=traced, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


async def test_a_request_has_a_span_and_its_statements_are_children(
    visitor: httpx2.AsyncClient, spans: Spans, settings: Settings
) -> None:
    assert (await visitor.get("/health/ready?token=s3same")).status_code == 200

    request = spans.one("GET /health/ready")
    assert request.kind is SpanKind.SERVER
    assert request.status.status_code is StatusCode.UNSET
    assert dict(request.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/health/ready",
        "url.path": "/health/ready",
        "url.scheme": "http",
        "http.response.status_code": 200,
    }
    statement = spans.one("health.delete_nothing")
    assert statement.kind is SpanKind.CLIENT
    assert parent_of(statement) == id_of(request)
    attributes = dict(statement.attributes or {})
    assert attributes["db.system.name"] == "postgresql"
    assert attributes["db.namespace"] == settings.database_dsn.rpartition("/")[2].partition("?")[0]
    assert attributes["db.query.summary"] == "health.delete_nothing"
    assert attributes["db.operation.name"] == "DELETE"
    assert "delete from" in str(attributes["db.query.text"]).lower()
    assert {"server.address", "server.port"} <= set(attributes)
    assert all(
        (request.start_time or 0) <= (each.start_time or 0) <= (each.end_time or 0) <= (request.end_time or 0)
        for each in spans.all()
    )


async def test_an_unknown_path_is_not_in_the_name(visitor: httpx2.AsyncClient, spans: Spans) -> None:
    await visitor.get("/no/such/path")
    await visitor.request("BREW", "/health/live")

    assert spans.names() == ["GET", "HTTP"]
    assert (spans.one("HTTP").attributes or {})["http.request.method_original"] == "BREW"
    assert spans.one("GET").status.status_code is StatusCode.UNSET


async def test_a_failure_of_the_service_is_an_error(
    visitor: httpx2.AsyncClient, traced: Starlette, spans: Spans
) -> None:
    await traced.state.database.execute("drop table _yoyo_migration cascade")
    spans_before = len(spans.all())
    status = (await visitor.get("/health/ready")).status_code

    assert (status, spans_before) == (503, 0)
    request = spans.one("GET /health/ready")
    assert request.status.status_code is StatusCode.ERROR
    assert (request.attributes or {})["error.type"] == "503"
    failed = spans.one("health.list_applied_migrations")
    assert (failed.attributes or {})["error.type"] == "BindingError"
    assert failed.status.status_code is StatusCode.ERROR


async def test_a_traceparent_is_the_parent(visitor: httpx2.AsyncClient, spans: Spans) -> None:
    await visitor.get("/health/ready", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})

    request = spans.one("GET /health/ready")
    assert parent_of(request) == int(PARENT, 16)
    assert {span.context and span.context.trace_id for span in spans.all()} == {int(TRACE, 16)}


async def test_nothing_is_recorded_of_a_trace_that_is_not_sampled(visitor: httpx2.AsyncClient, spans: Spans) -> None:
    await visitor.get("/health/ready", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    assert spans.all() == ()

    await visitor.get("/health/live")
    assert spans.names() == ["GET /health/live"]


async def test_a_statement_belongs_to_its_transaction_or_to_a_span_opened_in_it(db: Database, spans: Spans) -> None:
    with traced_work("nightly report", db):
        async with db.transaction() as tx:
            await health.delete_nothing(tx)
            with trace.get_tracer("tests").start_as_current_span("chapter"):
                await health.delete_nothing(tx)
        await health.delete_nothing(db)

    job, transaction, chapter = (spans.one(name) for name in ("nightly report", "transaction", "chapter"))
    parents = [parent_of(span) for span in spans.all() if span.name == "health.delete_nothing"]
    assert parents == [id_of(transaction), id_of(chapter), id_of(job)]
    assert parent_of(transaction) == parent_of(chapter) == id_of(job)
    assert transaction.status.status_code is StatusCode.UNSET


async def test_work_inside_work_emits_each_span_once(db: Database, spans: Spans) -> None:
    with traced_work("outer"), Work(), traced_work("inner"):
        async with db.transaction() as tx:
            await health.delete_nothing(tx)

    assert spans.names() == ["health.delete_nothing", "transaction", "inner", "outer"]
    assert parent_of(spans.one("transaction")) == id_of(spans.one("inner"))


async def test_a_failed_statement_has_its_sqlstate_and_no_value(db: Database, spans: Spans) -> None:
    await db.execute("create table t (secret text unique)")
    with traced_work("job", db), pytest.raises(asyncpg.UniqueViolationError):
        async with db.transaction() as tx:
            await tx.execute("insert into t values ($1)", "s3same")
            await tx.execute("insert into t values ($1)", "s3same")

    failed = [span for span in spans.all() if span.name == "raw SQL"][1]
    assert (failed.attributes or {})["db.response.status_code"] == (failed.attributes or {})["error.type"] == "23505"
    assert spans.one("transaction").status.status_code is StatusCode.ERROR
    assert "s3same" not in "".join(span.to_json() for span in spans.all())


async def test_an_exception_in_a_job_is_recorded_by_its_class(spans: Spans) -> None:
    with pytest.raises(KeyError), traced_work("job"):
        raise KeyError("s3same")

    job = spans.one("job")
    assert (job.attributes or {})["error.type"] == "KeyError"
    assert job.status.status_code is StatusCode.ERROR
    assert "s3same" not in job.to_json()
    assert not trace.get_current_span().get_span_context().is_valid


async def test_tasks_and_their_waits_are_children(db: Database, spans: Spans) -> None:
    with traced_work("job"):
        await asyncio.gather(*(db.fetchval("select pg_sleep(0.01)") for _ in range(8)))

    job = id_of(spans.one("job"))
    children = [span for span in spans.all() if span.name != "job"]
    assert {parent_of(span) for span in children} == {job}
    assert {span.name for span in children} == {"raw SQL", "wait for a connection"}
    assert [span.name for span in children].count("raw SQL") == 8


BUILD = """
import sys
if sys.argv[1] == "missing": sys.modules["opentelemetry"] = None
from pydantic import SecretStr
from app.main import create_app
from app.settings import Settings, SettingsError
settings = Settings(
    _env_file=None, database_url=SecretStr("postgresql://127.0.0.1/x"), secret_key=SecretStr("k" * 32),
    traces=sys.argv[1] == "missing",
)
try:
    create_app(settings)
except SettingsError as error:
    print(error)
print([name for name in sys.modules if name.startswith("opentelemetry") and sys.modules[name]])
"""


@pytest.mark.parametrize(
    ("package", "shown"),
    [("unused", "[]\n"), ("missing", "TRACES: needs OpenTelemetry: pip install bindery[otel]\n[]\n")],
)
def test_opentelemetry_is_imported_only_for_traces(package: str, shown: str) -> None:
    command = [sys.executable, "-c", BUILD, package]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=TIMEOUT, check=False)

    assert (done.stdout, done.stderr) == (shown, "")


@contextmanager
def collector() -> Generator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A receiver of OTLP: its address, and what it was sent."""
    received: list[ExportTraceServiceRequest] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces"
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def tracing_service(
    folder: Path, database_url: str, endpoint: str, **changes: str
) -> Generator[tuple[subprocess.Popen[str], httpx2.Client]]:
    settings = {"DATABASE_URL": database_url, "SECRET_KEY": SECRET_KEY, "PORT": "0", "TRACES": "true"}
    settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "DB_POOL_SIZE": "1", "DB_MAX_OVERFLOW": "1", **changes}
    with started([sys.executable, "-m", "app", "serve"], folder=folder, **settings) as process:
        assert process.stdout is not None
        found = re.match(r"Listening on (http://127\.0\.0\.1:\d+)", process.stdout.readline())
        assert found, process.communicate(timeout=TIMEOUT)[1]
        with httpx2.Client(base_url=found[1], timeout=TIMEOUT) as client:
            yield process, client


def test_a_service_sends_its_spans_to_a_collector(database_url: str, tmp_path: Path) -> None:
    with collector() as (endpoint, received):
        with tracing_service(tmp_path, database_url, endpoint) as (process, client):
            assert client.get("/health/ready").status_code == 200
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0

    resources = [each for request in received for each in request.resource_spans]
    names = {a.value.string_value for each in resources for a in each.resource.attributes if a.key == "service.name"}
    found = [span for each in resources for scope in each.scope_spans for span in scope.spans]
    [request] = [span for span in found if span.name == "GET /health/ready"]
    [statement] = [span for span in found if span.name == "health.delete_nothing"]
    assert names == {"bindery"}
    assert statement.parent_span_id == request.span_id


def test_a_collector_that_cannot_be_reached_neither_floods_the_log_nor_holds_up_the_end(
    database_url: str, tmp_path: Path
) -> None:
    quick = {"OTEL_BSP_SCHEDULE_DELAY": "20"}
    with tracing_service(tmp_path, database_url, "http://127.0.0.1:9", **quick) as (process, client):
        for _ in range(20):
            assert client.get("/health/ready").status_code == 200
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=TIMEOUT)

    assert process.returncode == 0
    assert len([line for line in errors.splitlines() if "export" in line.lower()]) == 1
    assert "Traceback" not in errors


def test_a_collector_that_never_answers_does_not_hold_up_the_end(database_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        patient = {"OTEL_EXPORTER_OTLP_TIMEOUT": "600"}
        with tracing_service(tmp_path, database_url, endpoint, **patient) as (process, client):
            assert client.get("/health/ready").status_code == 200
            process.send_signal(signal.SIGTERM)
            # The exporter alone would wait for 30 seconds.
            process.communicate(timeout=25)

    assert process.returncode == 0


def test_the_sampler_of_the_environment_counts(database_url: str, tmp_path: Path) -> None:
    never = {"OTEL_TRACES_SAMPLER": "always_off"}
    with (
        collector() as (endpoint, received),
        tracing_service(tmp_path, database_url, endpoint, **never) as (process, client),
    ):
        assert client.get("/health/ready").status_code == 200
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT)

    assert received == []
