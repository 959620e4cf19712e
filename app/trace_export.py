"""Sends traces to a collector by OTLP over HTTP, as the OTEL_… variables say."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from threading import Thread
from time import monotonic

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from app import __version__
from app.http.watch import RequestWork, Watch
from app.traces import TracedWork, Tracing

# Seconds that the last spans get when the service stops.
LAST_SPANS = 3.0
# Seconds between two lines about a collector that cannot be reached.
_SILENCE = 60.0
_EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


class TraceExport:
    """Traces of one service. A TracerProvider that the program has set already is used; otherwise one is made."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @asynccontextmanager
    async def running(self, watch: Watch) -> AsyncGenerator[None]:
        """Trace the requests of `watch` for the block, then send the last spans, for LAST_SPANS seconds at most."""
        given = trace.get_tracer_provider()
        own = None if isinstance(given, TracerProvider) else _provider()
        tracer = (own or given).get_tracer("bindery", __version__)
        before, watch.make = watch.make, Tracing(tracer, self._dsn).make
        watch.on_end.append(_end)
        try:
            yield
        finally:
            watch.make = before
            watch.on_end.remove(_end)
            if own is not None:
                # A daemon thread: a collector that does not answer must not hold up the end of the process.
                closing = Thread(target=own.shutdown, name="traces", daemon=True)
                closing.start()
                await asyncio.to_thread(closing.join, LAST_SPANS)


class _Seldom(logging.Filter):
    """Lets one line pass in _SILENCE seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written."""
        now = monotonic()
        if now < self._next:
            return False
        self._next = now + _SILENCE
        return True


def _provider() -> TracerProvider:
    logging.getLogger(_EXPORTER).addFilter(_Seldom())
    # It tells each request at the level debug, and the exporter's are not the service's.
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def _resource() -> Resource:
    resource = Resource({"service.version": __version__}).merge(Resource.create())
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "bindery"}))
    return resource


def _end(work: RequestWork, seconds: float) -> None:
    if isinstance(work, TracedWork):
        work.end(seconds)
