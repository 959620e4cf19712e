"""Whoever goes away is not worked for any longer, unless the work is a change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from app.db import Database
from app.http.disconnect import PATIENCE, CancelAbandoned

SLEEPING = """
    select count(*) from pg_stat_activity
    where datname = current_database() and query = 'select pg_sleep($1)' and state = 'active'
"""

Ask = Callable[..., Awaitable[asyncio.StreamWriter]]


class Service:
    """Sleeps in the database, and remembers how that ended."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.ended: list[str] = []
        self.seconds = 60.0

    async def read(self, request: Request) -> Response:
        """Waits for the client's body from the beginning."""
        body = await request.body()
        self.ended.append(f"read {len(body)} bytes")
        return Response("read")

    async def sleep(self, request: Request) -> Response:
        try:
            await self.db.fetch("select pg_sleep($1)", self.seconds)
            body = await request.body() if request.method == "GET" else b""
            self.ended.append(f"slept after {len(body)} bytes")
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        return Response("slept")


@pytest.fixture
def service(db: Database) -> Service:
    return Service(db)


@pytest.fixture
async def ask(service: Service) -> AsyncIterator[Ask]:
    """Sends a request to a server on a real port."""
    routes = [Route("/", service.sleep, methods=["GET", "HEAD", "POST"]), Route("/read", service.read)]
    app = Starlette(routes=routes, middleware=[Middleware(CancelAbandoned)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]

    async def sent(method: str, path: str = "/", body: str = "abc", length: int = 3) -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}".encode())
        await writer.drain()
        assert not reader.at_eof()
        return writer

    yield sent
    server.should_exit = True
    await serving


async def until(db: Database, sleeping: int) -> None:
    async with asyncio.timeout(30):
        while await db.fetchval(SLEEPING) != sleeping:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_reading_handler_and_its_statement_end_with_the_client(
    db: Database, service: Service, ask: Ask, method: str
) -> None:
    client = await ask(method)
    await until(db, 1)
    client.close()
    await until(db, 0)

    assert service.ended == ["cancelled"]


async def test_a_writing_handler_runs_to_its_end(db: Database, service: Service, ask: Ask) -> None:
    service.seconds = 2.0
    client = await ask("POST")
    await until(db, 1)
    client.close()
    async with asyncio.timeout(30):
        while not service.ended:
            await asyncio.sleep(0.01)

    assert service.ended == ["slept after 0 bytes"]


async def test_a_client_that_stays_gets_its_answer_and_its_body_is_read(service: Service, ask: Ask) -> None:
    service.seconds = 5 * PATIENCE
    client = await ask("GET")
    async with asyncio.timeout(30):
        while not service.ended:
            await asyncio.sleep(0.01)
    client.close()

    assert service.ended == ["slept after 3 bytes"]


async def test_a_handler_that_waits_for_its_client_gets_all_that_comes(service: Service, ask: Ask) -> None:
    client = await ask("GET", "/read", body="abc", length=6)
    await asyncio.sleep(3 * PATIENCE)
    client.write(b"def")
    async with asyncio.timeout(30):
        while not service.ended:
            await asyncio.sleep(0.01)
    client.close()

    assert service.ended == ["read 6 bytes"]


async def played(app: CancelAbandoned, *, gone: bool) -> None:
    """One request without a server in between, whose client stays or goes."""
    never = asyncio.Event()

    async def receive() -> Message:
        if not gone:
            await never.wait()
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None: ...

    await app({"type": "http", "method": "GET"}, receive, send)


async def sleep_for_long(_scope: Scope, _receive: Receive, _send: Send) -> None:
    await asyncio.sleep(60)


async def test_nothing_is_left_watching_after_a_request() -> None:
    async def answer(_scope: Scope, _receive: Receive, _send: Send) -> None:
        await asyncio.sleep(3 * PATIENCE)

    before = asyncio.all_tasks()
    await played(CancelAbandoned(answer), gone=False)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_a_server_is_never_asked_twice_at_a_time_what_the_client_sends() -> None:
    asked: list[int] = []

    async def receive() -> Message:
        asked.append(len(asked))
        await asyncio.sleep(3 * PATIENCE)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def read(_scope: Scope, receive: Receive, _send: Send) -> None:
        await receive()

    async def send(_: Message) -> None: ...

    await CancelAbandoned(read)({"type": "http", "method": "GET"}, receive, send)
    assert asked == [0]


async def test_the_server_sees_a_request_whose_client_is_gone_end_without_an_error() -> None:
    async with asyncio.timeout(30):
        await played(CancelAbandoned(sleep_for_long), gone=True)

    task = asyncio.current_task()
    assert task and not task.cancelling()


async def test_a_server_that_stops_a_request_stops_it() -> None:
    request = asyncio.create_task(played(CancelAbandoned(sleep_for_long), gone=False))
    await asyncio.sleep(3 * PATIENCE)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
