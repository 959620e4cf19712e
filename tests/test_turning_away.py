"""Requests that come under overload: each is answered before its body is read, and the connection goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.http.admission import Admission
from tests.test_protocol import LIMITS, SMUGGLED, Client, Service, split

BUSY = (503, {"server": ["has too much to do; try again in a moment"]})


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service(LIMITS) as service:
        yield service


def overload(service: Service) -> Admission:
    """Let the service admit nothing."""
    admission = service.turning_away.admission
    admission.begin_overload(limit=0)
    return admission


async def head_of(client: Client, request: bytes) -> str:
    await client.send(request)
    return (await client.reader.readuntil(b"\r\n\r\n")).decode()


@pytest.mark.parametrize("how", ["whole", "head first", "bytes"])
async def test_a_request_is_turned_away_and_the_next_one_on_its_connection_is_served(
    service: Service, how: str
) -> None:
    admission = overload(service)
    client = await service.connect()
    await client.send(*split(b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 38\r\n\r\n" + SMUGGLED, how))
    assert await client.answer() == BUSY

    admission.limit = 1
    await client.send(b"GET /b HTTP/1.1\r\nhost: x\r\n\r\n")
    assert await client.answer() == (200, "GET /b of 0 bytes: ")
    assert service.echo.asked == ["GET /b of 0 bytes: "]


async def test_it_says_when_to_try_again_and_not_all_clients_are_told_the_same(service: Service) -> None:
    overload(service)
    client = await service.connect()
    heads = set[str]()
    for _ in range(40):
        heads.add(await head_of(client, b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n"))
    told = {head.partition("retry-after: ")[2].partition("\r\n")[0] for head in heads}
    assert told == {"1", "2", "3"}


async def test_it_has_the_headers_of_any_answer(service: Service) -> None:
    overload(service)
    service.state.default_headers = [(b"date", b"today")]
    client = await service.connect()
    head = await head_of(client, b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")
    for line in ("date: today", "x-content-type-options: nosniff", "content-type: application/json", "vary: Origin"):
        assert f"\r\n{line}\r\n" in head


@pytest.mark.parametrize(("origin", "allowed"), [(b"https://front.example", True), (b"https://other.example", False)])
async def test_only_pages_that_may_call_the_api_can_read_it(service: Service, origin: bytes, allowed: bool) -> None:
    overload(service)
    client = await service.connect()
    head = await head_of(client, b"HEAD / HTTP/1.1\r\nhost: x\r\norigin: " + origin + b"\r\n\r\n")
    assert (f"access-control-allow-origin: {origin.decode()}\r\n" in head) is allowed


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\ncontent-length: 65537\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
)
async def test_a_connection_that_could_not_go_on_is_closed(service: Service, head: bytes) -> None:
    overload(service)
    client = await service.connect()
    await client.send(head)
    answer = await client.rest()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1") == 1


async def test_health_and_the_monitor_are_served_and_not_counted(service: Service) -> None:
    admission = overload(service)
    client = await service.connect()
    for path in ("/health/live", "/health/ready", "/monitor", "/monitor/events", "/metrics"):
        await client.send(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        assert await client.answer() == (200, f"GET {path} of 0 bytes: ")
    assert admission.active == 0


async def test_nonsense_in_the_body_of_a_request_that_was_turned_away_gets_no_second_answer(service: Service) -> None:
    overload(service)
    client = await service.connect()
    await client.send(b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n")
    await client.send(b"ab\x00\x01nonsense\r\n\r\n")
    assert (await client.rest()).count(b"HTTP/1.1 503") == 1


async def test_a_body_that_does_not_come_after_its_answer_ends_the_connection(service: Service) -> None:
    overload(service)
    client = await service.connect()
    await client.send(b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\na")
    assert await client.answer() == BUSY
    await service.pass_time(LIMITS.body_timeout)
    assert await client.rest() == b""


async def test_requests_that_were_sent_in_advance_get_their_answers_in_turn(service: Service) -> None:
    client = await service.connect()
    await client.send(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
    admission = overload(service)
    assert admission.active == 1
    await client.send(b"GET /b HTTP/1.1\r\nhost: x\r\n\r\n")
    service.echo.go_on.set()
    assert [await client.answer() for _ in range(2)] == [
        (200, "GET /wait of 0 bytes: "),
        (200, "GET /b of 0 bytes: "),
    ]
