"""Traces by OpenTelemetry: a span for each request, transaction, statement and wait for a connection.

The setting `TRACES` decides whether this module is imported at all. Spans of statements and waits are made when these
have ended. No span has the value of a parameter, nor the message of an error, which may quote one.
"""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from time import monotonic, time_ns
from typing import Any
from urllib.parse import unquote, urlsplit

from opentelemetry.context import Context, attach, detach
from opentelemetry.propagate import extract
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, get_current_span, get_tracer
from opentelemetry.trace import set_span_in_context as context_of
from starlette.types import Scope

from app.db import WORK, Database, StatementFigures, Work
from app.http.watch import RequestWork, RouteFigures

Attributes = dict[str, str | int]
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*([a-z]+)", re.IGNORECASE | re.DOTALL)


class Tracing:
    """What all spans of a service share: the tracer, and the attributes that name the database."""

    def __init__(self, tracer: Tracer, dsn: str = "") -> None:
        self.tracer = tracer
        self._database = _database(dsn)
        self._statements: dict[StatementFigures, tuple[object, Attributes]] = {}

    def make(self, route: RouteFigures, scope: Scope, request_id: str, most_alike: int) -> "TracedWork":
        """Return the work of a request: this is a factory for Watch.make."""
        return TracedWork(self, route, scope, request_id, most_alike)

    def attributes(self, figures: StatementFigures) -> Attributes:
        """Return the attributes that every run of a statement has."""
        query, found = self._statements.get(figures, (None, None))
        # A reload puts another query in the place of the first.
        if found is None or query is not figures.query:
            found = {**self._database, "db.query.summary": figures.name, **_text(figures)}
            self._statements[figures] = figures.query, found
        return found


class TracedTransaction:
    """A transaction with its span. `outer` was the current span when it began."""

    __slots__ = ("context", "outer", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self.outer = get_current_span()
        self.context = context_of(span)


class _Traced(Work):
    """Work that emits spans if `is_recorded`. `offset`: nanoseconds from time.monotonic() to the epoch."""

    __slots__ = ()
    tracing: Tracing
    offset: int
    is_recorded: bool

    def ran(
        self, figures: StatementFigures, began: float, ended: float, error: BaseException | None, transaction: Any
    ) -> None:
        """Count a statement, and emit its span."""
        super().ran(figures, began, ended, error, transaction)
        if not self.is_recorded:
            return
        span = self.tracing.tracer.start_span(
            figures.name,
            _parent(transaction),
            kind=SpanKind.CLIENT,
            attributes=self.tracing.attributes(figures),
            start_time=self.at(began),
        )
        if error is not None:
            _fail(span, error)
        span.end(self.at(ended))

    def waited(self, began: float, ended: float) -> None:
        """Add the time in the queue of a pool, and emit its span."""
        super().waited(began, ended)
        if self.is_recorded:
            self.tracing.tracer.start_span("wait for a connection", start_time=self.at(began)).end(self.at(ended))

    def transaction_began(self) -> Any:
        """Start the span of a transaction. Return None if it is not recorded."""
        if not self.is_recorded:
            return super().transaction_began()
        span = self.tracing.tracer.start_span("transaction", start_time=self.at(monotonic()))
        return TracedTransaction(span) if span.is_recording() else None

    def transaction_ended(self, transaction: Any, error: BaseException | None) -> None:
        """End the span of a transaction."""
        if isinstance(transaction, TracedTransaction):
            if error is not None:
                _fail(transaction.span, error)
            transaction.span.end(self.at(monotonic()))

    def at(self, moment: float) -> int:
        """Return a moment of time.monotonic() as nanoseconds since 1970."""
        return self.offset + int(moment * 1e9)


class TracedWork(_Traced, RequestWork):
    """A request with its span, which is the current one until the request has ended."""

    __slots__ = ("_attached", "is_recorded", "offset", "span", "tracing")

    def __init__(self, tracing: Tracing, route: RouteFigures, scope: Scope, request_id: str, most_alike: int) -> None:
        super().__init__(route, scope, request_id, most_alike)
        self.tracing = tracing
        self.offset = _offset()
        parent = extract(scope, getter=_HEADERS)
        self.span = tracing.tracer.start_span(
            f"{'HTTP' if route.method == '_OTHER' else route.method} {route.path}".rstrip(),
            parent,
            kind=SpanKind.SERVER,
            attributes=_request(route, scope),
            start_time=self.at(self.began),
        )
        self.is_recorded = self.span.is_recording()
        self._attached = attach(context_of(self.span, parent))

    def end(self, seconds: float) -> None:
        """End the span of a request that took this long."""
        detach(self._attached)
        if not self.is_recorded:
            return
        status = self.status or 500
        self.span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self.span.set_attribute("error.type", str(status))
            self.span.set_status(Status(StatusCode.ERROR))
        self.span.end(self.at(self.began + seconds))


class _TracedJob(_Traced):
    __slots__ = ("is_recorded", "offset", "tracing")

    def __init__(self, name: str, span: Span, tracing: Tracing) -> None:
        super().__init__(name)
        self.tracing = tracing
        self.offset = _offset()
        # In a request, or in another job, the outer work hears of everything and emits the spans.
        self.is_recorded = span.is_recording() and not self._is_inside_traced()

    def _is_inside_traced(self) -> bool:
        work = WORK.get()
        while work is not None and not isinstance(work, _Traced):
            work = work._outer
        return work is not None


@contextmanager
def traced_work(name: str, database: Database | None = None) -> Generator[Work]:
    """Emit a span for the block, which is no request, and spans for what it does on databases.

    `database` is named in the spans of statements. An exception is recorded by its class and raised.
    """
    tracing = Tracing(get_tracer("bindery"), "" if database is None else database.dsn)
    span = tracing.tracer.start_span(name)
    attached = attach(context_of(span))
    try:
        with _TracedJob(name, span, tracing) as work:
            yield work
    except BaseException as error:
        _fail(span, error)
        raise
    finally:
        detach(attached)
        span.end()


class _Headers(Getter[Scope]):
    """Reads the headers of an ASGI scope."""

    def get(self, carrier: Scope, key: str) -> list[str] | None:
        name = key.lower().encode()
        return [value.decode("latin-1") for each, value in carrier["headers"] if each == name] or None

    def keys(self, carrier: Scope) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier["headers"]]


_HEADERS = _Headers()


def _offset() -> int:
    return time_ns() - int(monotonic() * 1e9)


def _parent(transaction: Any) -> Context | None:
    """Return the context of the transaction, unless a span was opened in it since; None for the current context."""
    if isinstance(transaction, TracedTransaction) and get_current_span() is transaction.outer:
        return transaction.context
    return None


def _fail(span: Span, error: BaseException) -> None:
    kind = type(error).__name__
    if isinstance(state := getattr(error, "sqlstate", None), str):
        span.set_attribute("db.response.status_code", state)
    span.set_attribute("error.type", state if isinstance(state, str) else kind)
    span.set_status(Status(StatusCode.ERROR, kind))


def _request(route: RouteFigures, scope: Scope) -> Mapping[str, str]:
    found = {"http.request.method": route.method, "url.path": scope["path"], "url.scheme": scope["scheme"]}
    if route.path:
        found["http.route"] = route.path
    if route.method == "_OTHER":
        found["http.request.method_original"] = scope["method"]
    return found


def _text(figures: StatementFigures) -> Attributes:
    if figures.query is None:
        return {}
    text = figures.query.text
    word = _FIRST_WORD.match(text)
    # After WITH several operations may follow, and none of them is the statement's own.
    operation: Attributes = {"db.operation.name": word[1].upper()} if word and word[1].lower() != "with" else {}
    return {"db.query.text": text, **operation}


def _database(dsn: str) -> Attributes:
    found: Attributes = {"db.system.name": "postgresql"}
    if not dsn:
        return found
    url = urlsplit(dsn)
    found["db.namespace"] = unquote(url.path.lstrip("/"))
    address = url.netloc.rpartition("@")[2]
    # Of several servers it is not known which one answered.
    if address and "," not in address:
        host, _, port = address.rpartition(":") if ":" in address.rpartition("]")[2] else (address, "", "5432")
        found |= {"server.address": unquote(host).strip("[]"), "server.port": int(port or 5432)}
    return found
