"""Connects the measurements to what shows them: log lines, traces and the monitor. Wiring only."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from starlette.routing import BaseRoute

from app.board import Board
from app.db import Database, Query
from app.http.refusals import REFUSALS
from app.http.watch import Watch
from app.logs import request_logger
from app.monitor.access import Access
from app.monitor.monitor import Monitor
from app.monitor.routes import monitor_routes
from app.request_log import RequestLog
from app.settings import Settings, SettingsError
from app.slow import SlowStatements

# Of fast successful requests, in production.
SHARE = 0.1


class Telemetry:
    """What measures a service: the `watch` over its requests, its `database`, and the `monitor` of both.

    `own` is a Database for the monitor alone, and `board` connects several workers. Slow statements are logged.
    """

    def __init__(
        self, settings: Settings, database: Database, own: Database, queries: Mapping[str, Query], board: Board | None
    ) -> None:
        development = settings.is_development
        self.database = database
        self.watch = Watch(most_alike=settings.db_repeated_statement if development else 0, tells_timing=development)
        share = settings.log_share
        if share is None:
            share = 1.0 if development else SHARE
        if settings.log_level in {"debug", "info"}:
            log = RequestLog(
                request_logger(settings.log_format),
                share=share,
                slow_after=settings.log_slow_request,
                proxies=settings.trusted_proxies or (),
            )
            self.watch.on_end.append(log.write)
        self.monitor = Monitor(database, own, self.watch, queries, board)
        self._traces = _traces(database) if settings.traces else _no_traces
        self._slow = SlowStatements(database)
        if settings.db_slow_statement:
            database.figures.watch_slow(settings.db_slow_statement, self._slow.tell)

    def routes(self, settings: Settings) -> list[BaseRoute]:
        """Return the routes of the monitor."""
        token = settings.monitor_token
        access = Access(token.get_secret_value() if token else None, settings.trusted_proxies or ())
        return monitor_routes(self.monitor, access, settings.environment_name)

    def stop(self) -> None:
        """End the streams of the monitor's events within a second: a service that stops would wait for them."""
        self.monitor.stopping = True

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Do what is done at intervals, for the block."""
        telling = asyncio.create_task(_tell_refusals())
        try:
            async with self._traces(self.watch), self.monitor.running():
                yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            await self._slow.close()


def _no_traces(_: Watch) -> AbstractAsyncContextManager[None]:
    return nullcontext()


def _traces(database: Database) -> Callable[[Watch], AbstractAsyncContextManager[None]]:
    try:
        from app.trace_export import TraceExport  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise SettingsError("TRACES: needs OpenTelemetry: pip install bindery[otel]") from error
    return TraceExport(database.dsn).running


async def _tell_refusals() -> None:
    while True:
        await asyncio.sleep(1)
        REFUSALS.log_rest()
