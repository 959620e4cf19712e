"""Answers requests for operations: one frame finds the handler, calls it, and turns what it raises into an answer."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.db import WORK, is_server_unfit
from app.http.disconnect import CancelAbandoned
from app.http.errors import ANSWERS, AnswerCrashes, Invalid, exception_handlers
from app.http.headers import PRIVATE, SAFE, VARIES, SafeHeaders, absent, relative
from app.http.idempotency.once import Once
from app.http.operations import Operation, routes
from app.http.requests import require_viewer
from app.http.table import Table
from app.http.watch import CLIENT_GONE, Watch
from app.http.watched import Watched

logger = logging.getLogger("app.http")

Answers = Mapping[type[Exception], Callable[[Any], Response]]


class Service(Starlette):
    """Starlette, with the operations in front of its own routes and middleware.

    Those cost more than a query: each is a frame and wraps `send` once more. They serve what is no operation: other
    paths and methods, and the routes given as `others`.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        answers: Answers,
        cors: Middleware,
        others: Sequence[BaseRoute],
        *,
        lifespan: Any,
        watch: Watch,
        once: Once,
    ) -> None:
        super().__init__(
            routes=[*routes(operations), *others],
            lifespan=lifespan,
            exception_handlers=exception_handlers(answers),
            middleware=[Middleware(SafeHeaders), cors, Middleware(AnswerCrashes)],
        )
        self._table = Table(operations)
        self._answers = answers
        self._cors = cors
        self._once = once
        self._watched = Watched(watch, operations, [each.path for each in others if isinstance(each, Route)])

    def build_middleware_stack(self) -> ASGIApp:
        """Return the application that Starlette calls."""
        others = super().build_middleware_stack()
        return CancelAbandoned(
            Endpoints(self._table, self._answers, self._cors, others, self._watched, once=self._once)
        )


class Endpoints:
    """ASGI application that answers the operations of `table`; every other request is for `others`.

    `answers` turns exceptions into answers, beside ANSWERS.
    """

    def __init__(
        self, table: Table, answers: Answers, cors: Middleware, others: ASGIApp, watched: Watched, *, once: Once
    ) -> None:
        self._table = table
        self._answers: Answers = {**ANSWERS, **answers}
        # Only what a page of another origin asks for needs its headers.
        self._cors = cors.cls(self._answer, *cors.args, **cors.kwargs)
        self._others = others
        self._watched = watched
        self._once = once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._others(scope, receive, send)
            return
        headers = dict(scope["headers"])
        is_operation = self._table.find(scope)
        if b"idempotency-key" in headers and is_operation and scope["operation"].takes_key:
            scope["endpoint"] = self._once.handle
        work = self._watched.begin(scope, headers)
        token = WORK.set(work)
        try:
            if not is_operation:
                await self._others(scope, receive, self._watched.sender(work, send))
            elif b"origin" in headers:
                await self._cors(scope, receive, send)
            else:
                await self._answer(scope, receive, send, VARIES)
        except asyncio.CancelledError:
            work.status = work.status or CLIENT_GONE
            raise
        finally:
            WORK.reset(token)
            self._watched.end(work)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, *headers: tuple[bytes, bytes]) -> None:
        request = Request(scope, receive)
        try:
            response = await scope["endpoint"](request)
        except Exception as error:
            response = await self._answer_to(request, error)
        if response.status_code == 201 or response.status_code // 100 == 3:
            response.raw_headers = [relative(name, value) for name, value in response.raw_headers]
        wanted = (*SAFE, PRIVATE) if _has_token(scope) else SAFE
        response.raw_headers += absent(wanted, response.raw_headers)
        response.raw_headers += (*self._watched.headers(scope, response.status_code), *headers)
        if isinstance(response, StreamingResponse):
            await self._stream(response, request, send, *wanted, *headers)
        else:
            await response(scope, receive, send)

    async def _stream(
        self, response: StreamingResponse, request: Request, send: Send, *headers: tuple[bytes, bytes]
    ) -> None:
        """Send an answer that may fail before it begins; the answer to the failure gets these headers."""
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await response(request.scope, request.receive, watch)
        except Exception as error:
            if started:
                raise
            failure = await self._answer_to(request, error)
            failure.raw_headers += (*headers, *self._watched.headers(request.scope, failure.status_code))
            await failure(request.scope, request.receive, send)

    async def _answer_to(self, request: Request, error: Exception) -> Response:
        if isinstance(error, Invalid) and request.scope["operation"].viewer != "ignored":
            # A missing viewer comes before an invalid request, and no statement may have looked at the viewer yet.
            try:
                await require_viewer(request)
            except Exception as missing:
                error = missing
        kind = next(kind for kind in type(error).__mro__ if kind in self._answers)
        if kind is Exception and not is_server_unfit(error):
            logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return self._answers[kind](error)


def _has_token(scope: Scope) -> bool:
    return scope["operation"].viewer != "ignored" and any(name == b"authorization" for name, _ in scope["headers"])
