"""The service as a process: it binds its port, reports that it listens, and drains and closes when it is stopped."""

import asyncio
import errno
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.admission import Admission
from app.protocol import HttpProtocol, Limits
from app.settings import Settings
from app.turning_away import TurningAway

logger = logging.getLogger("app.serve")

# What the kernel takes of an answer before it was sent. By itself it takes megabytes at once, and a client that reads
# them slowly looks like one that reads nothing.
UNSENT_BYTES = 64 * 1024

# uvloop accepts one connection for each listening socket in each round of the event loop, and under load a round takes
# 10 to 30 ms: clients would wait for many seconds before anybody could serve, or even refuse, them.
ACCEPTED_AT_ONCE = 8

# New objects, less those that are gone, after which the garbage collector looks for circles among them.
YOUNG_OBJECTS = 7000

# Files that a process opens besides its connections: its listener, logs, what it imports.
OTHER_FILES = 100


class ServiceError(Exception):
    """The service cannot run. The message says why and what to do."""


def bind(host: str, port: int) -> socket.socket:
    """Bind the address without listening yet. Raises ServiceError when that fails."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
        with ExitStack() as on_failure:
            listener = on_failure.enter_context(socket.socket(family, kind))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
            listener.bind(address)
            on_failure.pop_all()
            return listener
    except OSError as error:
        raise ServiceError(_why_not_bound(host, port, error)) from None


def run(
    app: ASGIApp,
    listener: socket.socket,
    settings: Settings,
    on_start: Callable[[], None] | None = None,
    on_stop: Callable[[], None] | None = None,
    *,
    admission: Admission | None = None,
) -> None:
    """Serve `app` until SIGINT, SIGTERM or SIGHUP, then drain it for `settings.shutdown_timeout` seconds.

    `on_start` is called once it listens; by default that is printed. `on_stop` is called in a signal's handler.
    `admission` decides which requests are turned away; by default none.
    Raises ServiceError when the app cannot start, with the app's own message.
    """
    lifespan = _Lifespan(app)
    line = listening_line(listener, settings.environment_name)
    server = _Server(_config(lifespan, settings, admission), on_start or (lambda: print(line, flush=True)), on_stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, server.handle_exit)
    with ExitStack() as sockets:
        listeners = [listener, *(listener.dup() for _ in range(1, ACCEPTED_AT_ONCE))]
        for each in listeners:
            sockets.enter_context(each)
        try:
            server.run(sockets=listeners)
        except SystemExit:
            if lifespan.failure is None:
                raise
            raise ServiceError(f"the service could not start: {lifespan.failure}") from None


def freeze_garbage() -> None:
    """Take what is there now out of the garbage collector's sight: modules, routes, statements and sessions stay.

    A full collection would walk over all of them, which takes 20 to 40 ms and is the tail of every route. What a
    request makes is freed by reference counting, so young objects are looked at ten times as rarely as usual.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)


class _Server(uvicorn.Server):
    """uvicorn, except that it tells when it listens, and that a signal ends it normally however often it comes."""

    def __init__(
        self, config: uvicorn.Config, on_start: Callable[[], None], on_stop: Callable[[], None] | None
    ) -> None:
        super().__init__(config)
        self._on_stop = on_stop
        self._on_start = on_start
        self._starting: asyncio.Task[Any] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._starting = task = asyncio.current_task()
        try:
            await super().startup(sockets)
        except asyncio.CancelledError:
            if task is None or not self.should_exit:
                raise
            # By a signal. The application, which may have been waiting for its database, is cancelled with the loop.
            task.uncancel()
        finally:
            self._starting = None
        freeze_garbage()
        if not self.should_exit:
            self._on_start()

    async def on_tick(self, counter: int) -> bool:
        # Ten ticks a second.
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in cast("list[HttpProtocol]", list(self.server_state.connections)):
                connection.check_time(now)
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would raise the signal again after its shutdown; what is left to stop then would be in a hurry.
        self.force_exit = self.should_exit
        self.should_exit = True
        if self._on_stop is not None:
            self._on_stop()
        if self._starting is not None:
            self._starting.get_loop().call_soon_threadsafe(self._starting.cancel)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A connection that was accepted in this round of the event loop is known in the next one.
        asyncio.get_running_loop().call_soon(self._tell_connections)
        await super().shutdown(sockets)
        if self.force_exit:
            # uvicorn leaves now; here the requests give their connections back, and the pool is closed all the same.
            for task in self.server_state.tasks:
                task.cancel()
            await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
            await self.lifespan.shutdown()
        # Of clients that do not read, and when there was no time to end by themselves. uvloop waits for them forever.
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    def _tell_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.shutdown()


class _Lifespan:
    """The app, with the error that keeps it from starting kept for one message where uvicorn logs a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.failure: BaseException | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return self._watched(scope, receive, send) if scope["type"] == "lifespan" else self.app(scope, receive, send)

    async def _watched(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def without_traceback(message: Message) -> None:
            await send({"type": message["type"]})

        try:
            await self.app(scope, receive, without_traceback)
        except Exception as error:
            self.failure = error
            raise


def _limits(settings: Settings) -> Limits:
    return Limits(
        connections=_openable(settings),
        head_bytes=settings.http_max_head_bytes,
        head_timeout=settings.http_head_timeout,
        body_timeout=settings.http_body_timeout,
        send_timeout=settings.http_send_timeout,
        idle_timeout=settings.http_idle_timeout,
    )


def _openable(settings: Settings) -> int:
    """How many connections clients may open, after the limit of open files was raised as far as this process may."""
    others = settings.db_pool_size + settings.db_max_overflow + OTHER_FILES
    wanted = settings.http_max_connections + others
    soft, hard = (sys.maxsize if limit == resource.RLIM_INFINITY else limit for limit in _open_files())
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), _open_files()[1]))
    if hard < wanted:
        logger.warning(
            "HTTP_MAX_CONNECTIONS: is %d, but this process may open %d files (ulimit -Hn): only %d are served",
            settings.http_max_connections, hard, max(1, hard - others),
        )  # fmt: skip
    return max(1, min(settings.http_max_connections, hard - others))


def _open_files() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def _config(app: _Lifespan, settings: Settings, admission: Admission | None) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    turning_away = TurningAway(admission or Admission(target=0, least=1), settings.cors_origins)
    protocol: Any = partial(HttpProtocol, _limits(settings), turning_away)
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        access_log=False,
        # app.logs writes uvicorn's lines, too.
        log_config=None,
        server_header=False,
        proxy_headers=False,
        # uvicorn's own "info" is how it starts and stops: we say that in one line.
        log_level="warning" if settings.log_level == "info" else settings.log_level,
        timeout_keep_alive=settings.http_idle_timeout,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )


def _is_news(record: logging.LogRecord) -> bool:
    """False for what is said already: that the start failed, and where each request was when the drain cancelled it."""
    is_cancellation = record.exc_info is not None and record.exc_info[0] is asyncio.CancelledError
    return not is_cancellation and record.msg != "Application startup failed. Exiting."


def listening_line(listener: socket.socket, environment: str, workers: int = 1) -> str:
    """Return the line that says where the service listens, and in which environment."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    by = f" in {workers} processes" if workers > 1 else ""
    return f"Listening on http://{shown}{by} ({environment}; docs at /docs, monitor at /monitor, Ctrl-C stops)"


def _why_not_bound(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use by another program; choose a free one, such as PORT={port % 65535 + 1}"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"this user may not listen on port {port}; choose one above 1023, such as PORT=8000"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"HOST={host} is no address of this machine; allowed: 127.0.0.1 for this machine only, 0.0.0.0 for all"
    return f"cannot listen on port {port} of {host}: {os.strerror(error.errno or 0)}"
