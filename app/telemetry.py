"""Connects the measurements to what shows them: log lines, traces and the monitor. Wiring only."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from app.db import Database
from app.http.refusals import REFUSALS
from app.http.watch import Watch
from app.logs import request_logger
from app.request_log import RequestLog
from app.settings import Settings, SettingsError
from app.slow import SlowStatements

# Of fast successful requests, in production.
SHARE = 0.1


class Telemetry:
    """What measures a service: the `watch` over its requests, and its `database`, whose slow statements are logged."""

    def __init__(self, settings: Settings, database: Database) -> None:
        development = settings.is_development
        self.database = database
        self.watch = Watch(most_alike=settings.db_repeated_statement if development else 0, tells_timing=development)
        share = settings.log_share
        if share is None:
            share = 1.0 if development else SHARE
        if settings.log_level in {"debug", "info"}:
            log = RequestLog(request_logger(settings.log_format), share=share, slow_after=settings.log_slow_request)
            self.watch.on_end.append(log.write)
        self._traces = _traces(database) if settings.traces else _no_traces
        self._slow = SlowStatements(database)
        if settings.db_slow_statement:
            database.figures.watch_slow(settings.db_slow_statement, self._slow.tell)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Do what is done at intervals, for the block."""
        telling = asyncio.create_task(_tell_refusals())
        try:
            async with self._traces(self.watch):
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
