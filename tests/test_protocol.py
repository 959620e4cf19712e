"""What clients send, byte by byte, on a real socket: requests are answered in turn, and none is made of a body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.http.admission import Admission
from app.http.headers import SAFE
from app.protocol import LINGER, LONGEST_PIPELINE, HttpProtocol, Limits
from app.serve import bind
from app.turning_away import TurningAway

LIMITS = Limits(
    connections=3, head_bytes=2000, head_timeout=10, body_timeout=30, send_timeout=20, idle_timeout=5
)  # fmt: skip
SMUGGLED = b"DELETE /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
OFFERS = {
    "h2c": b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAAAAIAAAAAAAMAAAAA\r\n",
    "websocket": b"connection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n",
    "several": b"upgrade: TLS/1.0, h2c\r\nConnection: upgrade\r\nUPGRADE: websocket\r\n",
}


@dataclass
class Echo:
    """An application that says what it was asked, `GET / of 0 bytes: …`, and keeps it."""

    asked: list[str] = field(default_factory=list[str])
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; `/wait` when told to, `/early` before the body, `/large` with a megabyte."""
        request = Request(scope, receive)
        if request.url.path == "/early":
            await PlainTextResponse("early")(scope, receive, send)
            return
        try:
            body = await request.body()
        except ClientDisconnect:
            self.asked.append(f"{request.method} {request.url.path} broken")
            return
        self.asked.append(f"{request.method} {request.url.path} of {len(body)} bytes: {body[:40].decode()}")
        if request.url.path == "/wait":
            await self.go_on.wait()
        if request.url.path == "/large":
            await StreamingResponse(_megabytes())(scope, receive, send)
        else:
            await PlainTextResponse(self.asked[-1])(scope, receive, send)


async def _megabytes() -> AsyncIterator[bytes]:
    for _ in range(64):
        yield b"x" * 1_000_000


class Service:
    """The protocol on a port, without a process around it: the test says what time it is."""

    def __init__(self, limits: Limits) -> None:
        self.echo = Echo()
        self.state = ServerState()
        self.now = 0.0
        self.turning_away = TurningAway(Admission(target=0.02, least=2), ["https://front.example"])
        self._limits = limits
        self._config = uvicorn.Config(self.echo, lifespan="off", log_config=None)
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Service:
        self._config.load()
        self._server = await asyncio.get_running_loop().create_server(self._protocol, sock=bind("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.echo.go_on.set()
        for writer in self._writers:
            writer.transport.abort()
        self._server.close()
        for connection in self.connections:
            connection.transport.abort()
        async with asyncio.timeout(10):
            while self.state.tasks or self.connections:
                await asyncio.sleep(0.001)

    def _protocol(self) -> HttpProtocol:
        return HttpProtocol(self._limits, self.turning_away, config=self._config, server_state=self.state, app_state={})

    @property
    def connections(self) -> list[HttpProtocol]:
        return [each for each in self.state.connections if isinstance(each, HttpProtocol)]

    async def connect(self, limit: int = 2**16) -> Client:
        port = self._server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
        self._writers.append(writer)
        return Client(reader, writer)

    async def pass_time(self, seconds: float) -> None:
        """Let the service look at its connections, and once more so many seconds later."""
        await asyncio.sleep(0.05)
        for later in (0.0, seconds):
            self.now += later
            for connection in self.connections:
                connection.check_time(self.now)
        await asyncio.sleep(0.01)


@dataclass
class Client:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, *pieces: bytes) -> None:
        """Send each piece in a packet of its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.005)

    async def answer(self) -> tuple[int, Any]:
        """Status and body of the next answer."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body = (await self.reader.readexactly(length)).decode()
        return int(head.split()[1]), json.loads(body)["errors"] if body.startswith("{") else body

    async def rest(self) -> bytes:
        """What comes until the service closes the connection."""
        async with asyncio.timeout(10):
            return await self.reader.read()


@pytest.fixture
def limits() -> Limits:
    return LIMITS


@pytest.fixture
async def service(limits: Limits) -> AsyncIterator[Service]:
    async with Service(limits) as service:
        yield service


def split(data: bytes, how: str) -> Sequence[bytes]:
    """All at once, the head by itself, or a byte at a time."""
    if how == "whole":
        return [data]
    if how == "bytes":
        return [data[index : index + 1] for index in range(len(data))]
    head, _, body = data.partition(b"\r\n\r\n")
    return [head + b"\r\n\r\n", body]


@pytest.mark.parametrize("how", ["whole", "head first", "bytes"])
@pytest.mark.parametrize("offer", OFFERS)
class TestUpgrade:
    """A protocol that the service does not speak is offered: it goes on in HTTP/1.1."""

    async def test_a_get_is_answered_and_the_connection_goes_on(self, service: Service, offer: str, how: str) -> None:
        client = await service.connect()
        request = b"GET /a HTTP/1.1\r\nhost: x\r\n" + OFFERS[offer] + b"\r\n"
        for _ in range(3):
            await client.send(*split(request, how))
            assert await client.answer() == (200, "GET /a of 0 bytes: ")

    @pytest.mark.parametrize("framing", ["content-length", "chunked"])
    async def test_a_body_is_read_as_the_body(self, service: Service, offer: str, how: str, framing: str) -> None:
        body, length = SMUGGLED, len(SMUGGLED)
        head = b"content-length: %d" % length
        if framing == "chunked":
            head, body = b"transfer-encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (length, SMUGGLED)
        client = await service.connect()
        request = b"POST /a HTTP/1.1\r\nhost: x\r\n" + OFFERS[offer] + head + b"\r\n\r\n" + body
        for _ in range(2):
            await client.send(*split(request, how))
            assert await client.answer() == (200, f"POST /a of {length} bytes: {SMUGGLED[:40].decode()}")
        assert all("DELETE" not in each[:6] for each in service.echo.asked)

    async def test_requests_sent_after_it_are_answered_in_turn(self, service: Service, offer: str, how: str) -> None:
        client = await service.connect()
        first = b"POST /1 HTTP/1.1\r\nhost: x\r\n" + OFFERS[offer] + b"content-length: 2\r\n\r\nab"
        second = b"GET /2 HTTP/1.1\r\nhost: x\r\n" + OFFERS[offer] + b"\r\n"
        third = b"POST /3 HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nc"
        await client.send(*split(first + second + third, how))
        assert [await client.answer() for _ in range(3)] == [
            (200, "POST /1 of 2 bytes: ab"),
            (200, "GET /2 of 0 bytes: "),
            (200, "POST /3 of 1 bytes: c"),
        ]


async def test_connection_close_beside_an_offer_is_heeded(service: Service) -> None:
    client = await service.connect()
    await client.send(b"GET / HTTP/1.1\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n\r\n")
    assert b"connection: close" in await client.rest()


async def test_a_tunnel_is_refused_and_nothing_after_it_is_read(service: Service) -> None:
    client = await service.connect()
    await client.send(b"CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n" + SMUGGLED)
    assert await client.answer() == (501, {"method": ["is not supported"]})
    assert await client.rest() == b""
    assert service.echo.asked == []


@pytest.mark.parametrize("line", [b"GET /", b"GET / HTTP/0.9", b"GET / HTTP/2.0"])
async def test_another_version_of_http_is_refused(service: Service, line: bytes) -> None:
    client = await service.connect()
    await client.send(line + b"\r\n\r\n" + SMUGGLED)
    assert await client.answer() == (505, {"request": ["is not HTTP/1.1"]})
    assert await client.rest() == b""
    assert service.echo.asked == []


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\na b: c\r\n\r\n",
        b"GET / HTTP/1.1\r\na: b\rc\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\na",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\na",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n"
        b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused_in_the_usual_form_and_ends_the_connection(
    service: Service, request_: bytes
) -> None:
    client = await service.connect()
    await client.send(request_ + SMUGGLED)
    assert await client.answer() == (400, {"request": ["is not valid HTTP"]})
    assert await client.rest() == b""
    assert not any("smuggled" in each for each in service.echo.asked)


async def test_a_refusal_is_as_safe_in_a_browser_as_any_answer(service: Service) -> None:
    client = await service.connect()
    await client.send(b"GET / HTTP/2.0\r\n\r\n")
    head, _, _ = (await client.rest()).partition(b"\r\n\r\n")

    assert [head.count(b"%s: %s" % header) for header in SAFE] == [1, 1, 1]


async def test_a_refused_client_that_goes_on_sending_still_sees_why(service: Service) -> None:
    client = await service.connect()
    await client.send(b"nonsense\r\n" + b"x" * 1000, *[b"x" * 100_000] * 20)
    assert await client.answer() == (400, {"request": ["is not valid HTTP"]})
    await service.pass_time(LINGER)
    assert service.connections == []


async def test_nonsense_after_a_request_does_not_take_its_answer(service: Service) -> None:
    client = await service.connect()
    await client.send(b"GET /wait HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nnonsense\r\n\r\n" + SMUGGLED)
    await service.pass_time(1000)
    service.echo.go_on.set()
    assert await client.answer() == (200, "GET /wait of 0 bytes: ")
    assert await client.answer() == (200, "GET /2 of 0 bytes: ")
    assert await client.rest() == b""
    assert len(service.echo.asked) == 2


async def test_a_body_that_is_nonsense_is_refused_once(service: Service) -> None:
    client = await service.connect()
    await client.send(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", b"nonsense\r\n" + SMUGGLED)
    assert await client.answer() == (400, {"request": ["is not valid HTTP"]})
    assert await client.rest() == b""
    assert service.echo.asked == ["POST / broken"]


async def test_a_body_that_is_nonsense_behind_another_request_leaves_that_its_answer(service: Service) -> None:
    client = await service.connect()
    await client.send(b"GET /wait HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n")
    service.echo.go_on.set()
    assert await client.answer() == (200, "GET /wait of 0 bytes: ")
    assert await client.rest() == b""
    assert service.echo.asked == ["GET /wait of 0 bytes: "]


async def test_no_more_than_a_hundred_requests_are_taken_in_advance(service: Service) -> None:
    client = await service.connect()
    await client.send(b"GET /wait HTTP/1.1\r\n\r\n" + b"GET /next HTTP/1.1\r\n\r\n" * 5000)
    service.echo.go_on.set()
    answers = (await client.rest()).count(b"HTTP/1.1 200 OK")
    assert answers == len(service.echo.asked) == LONGEST_PIPELINE + 1


class TestSize:
    """The head of a request has a longest size, exact when it ended and not much more before."""

    @pytest.mark.parametrize("times", [1, 3])
    async def test_a_head_within_the_limit_is_read_and_one_byte_more_is_refused(
        self, service: Service, times: int
    ) -> None:
        client = await service.connect()
        value = LIMITS.head_bytes - len("/" + "a" * times)
        for _ in range(times):
            await client.send(b"GET / HTTP/1.1\r\n" + b"a" * times + b": " + b"b" * value + b"\r\n\r\n")
            assert (await client.answer())[0] == 200
        await client.send(b"GET / HTTP/1.1\r\n" + b"a" * times + b": " + b"b" * (value + 1) + b"\r\n\r\n")
        assert await client.answer() == (431, {"headers": ["are longer than 2000 bytes"]})
        assert await client.rest() == b""

    @pytest.mark.parametrize("piece", [b"x" * 500, b"x: y\r\n" * 80])
    @pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\na"])
    async def test_a_head_without_end_is_refused_while_it_comes(
        self, service: Service, start: bytes, piece: bytes
    ) -> None:
        if start == b"GET /" and b"\r" in piece:
            return
        client = await service.connect()
        await client.send(start, *[piece] * 6)
        assert (await client.answer())[0] == 431

    async def test_a_long_body_before_a_head_is_not_part_of_it(self, service: Service) -> None:
        client = await service.connect()
        await client.send(
            b"POST / HTTP/1.1\r\ncontent-length: 9000\r\n\r\n" + b"x" * 9000 + b"GET /", b" HTTP/1.1\r\n\r\n"
        )
        assert [(await client.answer())[0] for _ in range(2)] == [200, 200]


class TestTime:
    """Each step of a client has its time; a service that works has as much as it needs."""

    async def test_a_silent_connection_is_closed(self, service: Service) -> None:
        client = await service.connect()
        await service.pass_time(LIMITS.head_timeout - 1)
        assert len(service.connections) == 1
        await service.pass_time(1)
        assert await client.rest() == b""

    @pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\n\r\n"])
    async def test_a_head_that_comes_a_byte_at_a_time_ends_in_408(self, service: Service, first: bytes) -> None:
        client = await service.connect()
        if first:
            await client.send(first)
            await client.answer()
        await client.send(b"G")
        for byte in b"ET / HTTP/1.1":
            await client.send(bytes([byte]))
            await service.pass_time(1)
        assert await client.answer() == (408, {"request": ["was not sent within 10 seconds"]})
        assert await client.rest() == b""

    @pytest.mark.parametrize("head", [b"content-length: 100", b"transfer-encoding: chunked"])
    async def test_a_body_that_does_not_end_in_time_is_408(self, service: Service, head: bytes) -> None:
        client = await service.connect()
        await client.send(b"POST / HTTP/1.1\r\n" + head + b"\r\n\r\n")
        for _ in range(16):
            await client.send(b"1\r\na\r\n")
            await service.pass_time(2)
        assert await client.answer() == (408, {"body": ["was not sent within 30 seconds"]})
        assert await client.rest() == b""
        assert service.echo.asked == ["POST / broken"]

    async def test_a_body_that_goes_on_after_its_answer_is_cut_off(self, service: Service) -> None:
        client = await service.connect()
        await client.send(b"POST /early HTTP/1.1\r\ncontent-length: 100\r\n\r\n")
        assert await client.answer() == (200, "early")
        for _ in range(16):
            await client.send(b"a")
            await service.pass_time(2)
        assert service.connections == []

    @pytest.mark.parametrize("sent", [b"", b"\r\n"])
    async def test_a_connection_without_a_next_request_is_closed(self, service: Service, sent: bytes) -> None:
        client = await service.connect()
        await client.send(b"GET / HTTP/1.1\r\n\r\n")
        await client.answer()
        for _ in range(5):
            await client.send(sent)
            await service.pass_time(1)
        assert await client.rest() == b""

    async def test_a_request_may_take_its_time_in_the_service(self, service: Service) -> None:
        client = await service.connect()
        await client.send(b"POST /wait HTTP/1.1\r\ncontent-length: 1\r\n\r\na")
        await service.pass_time(10_000)
        service.echo.go_on.set()
        assert (await client.answer())[0] == 200

    async def test_a_client_that_reads_nothing_is_cut_off_and_one_that_reads_is_not(self, service: Service) -> None:
        stalled, reading = await service.connect(1024), await service.connect(1024)
        for client in (stalled, reading):
            await client.send(b"GET /large HTTP/1.1\r\nconnection: close\r\n\r\n")
        for _ in range(LIMITS.send_timeout.__ceil__() + 1):
            for _ in range(40):
                await reading.reader.read(65_536)
            await service.pass_time(1)
        assert len(service.connections) == 1
        async with asyncio.timeout(30):
            assert (await reading.reader.read()).endswith(b"0\r\n\r\n")

    async def test_a_client_that_reads_slowly_is_seen_to_read(self, service: Service) -> None:
        client = await service.connect(1024)
        await client.send(b"GET /large HTTP/1.1\r\n\r\n")
        for _ in range(10):
            # The client's own side takes up to 256 KiB from the kernel at once.
            await client.reader.readexactly(550_000)
            await service.pass_time(LIMITS.send_timeout - 1)
        assert len(service.connections) == 1

    async def test_a_client_that_never_reads_the_end_is_cut_off(self, service: Service) -> None:
        client = await service.connect(1024)
        await client.send(b"GET /large HTTP/1.1\r\nconnection: close\r\n\r\n")
        await service.pass_time(LIMITS.send_timeout)
        assert service.connections == []


class TestNumber:
    """There is a largest number of connections."""

    @pytest.fixture
    def limits(self) -> Limits:
        return replace(LIMITS, connections=2)

    async def test_one_connection_too_many_may_try_again_later(self, service: Service) -> None:
        first, second = await service.connect(), await service.connect()
        for client in (first, second):
            await client.send(b"GET / HTTP/1.1\r\n\r\n")
            assert (await client.answer())[0] == 200
        third = await service.connect()
        text = await third.rest()
        assert text.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert b"retry-after: 1\r\n" in text

        first.writer.close()
        async with asyncio.timeout(10):
            while len(service.connections) > 1:
                await asyncio.sleep(0.001)
        fourth = await service.connect()
        await fourth.send(b"GET / HTTP/1.1\r\n\r\n")
        assert (await fourth.answer())[0] == 200
