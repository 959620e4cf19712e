"""An answer goes over the connection byte for byte as uvicorn would send it, but in one piece where it can."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.cycle import Answer

LENGTH = (b"content-length", b"5")
TYPE = (b"content-type", b"text/plain")
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "plain": [{"headers": [LENGTH, TYPE]}, {"body": b"hello"}],
    "an error": [{"status": 404, "headers": [LENGTH]}, {"body": b"hello"}],
    "the length comes later": [{"headers": [TYPE, LENGTH]}, {"body": b"hello"}],
    "no length": [{"headers": [TYPE]}, {"body": b"hello"}],
    "no headers": [{"headers": []}, {"body": b""}],
    "nothing": [{"status": 204, "headers": []}, {"body": b""}],
    "an empty body": [{"headers": [(b"content-length", b"0")]}, {"body": b""}],
    "two parts": [{"headers": [LENGTH]}, {"body": b"hel", "more_body": True}, {"body": b"lo"}],
    "it closes": [{"headers": [LENGTH, (b"connection", b"close")]}, {"body": b"hello"}],
    "capitals": [{"headers": [LENGTH, (b"Connection", b"Close")]}, {"body": b"hello"}],
    "a header with a new line": [{"headers": [LENGTH, (b"x", b"a\r\nset-cookie: b")]}, {"body": b"hello"}],
    "too long": [{"headers": [LENGTH]}, {"body": b"hello, world"}],
    "too short": [{"headers": [LENGTH]}, {"body": b"he"}],
    "two bodies": [{"headers": [LENGTH]}, {"body": b"hello"}, {"body": b"hello"}],
    "two heads": [{"headers": [LENGTH]}, {"type": "http.response.start", "headers": [LENGTH]}],
    "no head": [{"type": "http.response.body", "body": b"hello"}],
    "only a head": [{"headers": [LENGTH]}],
}


class Recorder:
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


async def sent(kind: type[RequestResponseCycle], method: str, keep_alive: bool, messages: list[Any]) -> list[Any]:
    """What came of an application that sends these messages: the pieces, and what the connection does next."""
    transport, completed = Recorder(), list[bool]()
    cycle: Any = kind(
        scope={"type": "http", "method": method},  # pyright: ignore[reportArgumentType] - what the cycle reads of it
        transport=transport,  # pyright: ignore[reportArgumentType] - the same
        flow=FlowControl(transport),  # pyright: ignore[reportArgumentType] - the same
        logger=logging.getLogger("tests.cycle"),
        access_logger=logging.getLogger("tests.cycle"),
        access_log=False,
        default_headers=[(b"date", b"today")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: completed.append(True),
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for number, message in enumerate(messages):
            kind_of = "http.response.body" if number else "http.response.start"
            status = {"status": 200} if not number else {}
            await send({"type": kind_of, **status, **message})

    logging.getLogger("tests.cycle").disabled = True
    await cycle.run_asgi(app)
    return [transport.pieces, transport.closed, completed, cycle.response_complete, cycle.message_event.is_set()]


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_the_bytes_are_those_of_uvicorn(name: str, method: str, keep_alive: bool) -> None:
    [theirs, *after] = await sent(RequestResponseCycle, method, keep_alive, ANSWERS[name])
    [ours, *after_ours] = await sent(Answer, method, keep_alive, ANSWERS[name])

    # Of an answer that never came to its body, uvicorn sends the head and closes; here the client is told: 500.
    if name in {"only a head", "two heads"}:
        assert b"".join(theirs).startswith(b"HTTP/1.1 200 OK")
        assert b"".join(ours).startswith(b"HTTP/1.1 500 Internal Server Error")
        return
    assert b"".join(ours) == b"".join(theirs)
    assert after_ours == after


async def test_a_plain_answer_is_one_piece() -> None:
    [pieces, *_] = await sent(Answer, "GET", True, ANSWERS["plain"])

    assert pieces == [b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n\r\nhello"]
