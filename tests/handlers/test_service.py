"""The service as a process: requests with bodies, over real sockets."""

from __future__ import annotations

import json
import re
import signal
import socket
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.processes import TIMEOUT, end, events, server_folder, service

KEY = "a key of the tests, long enough for HMAC-SHA-256"
ANN = {"user": {"username": "ann", "email": "ann@example.org", "password": "ann's password"}}


@pytest.fixture
def folder() -> Generator[Path]:
    """A working folder with room for an embedded server."""
    with server_folder() as postgres:
        yield postgres.parent


def test_a_client_that_offers_another_protocol_is_served(folder: Path, database_url: str) -> None:
    body = json.dumps(ANN).encode()
    offer = b"host: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
    post = b"POST /api/users HTTP/1.1\r\n" + offer + b"content-length: %d\r\n\r\n" % len(body)
    with service(folder=folder, DATABASE_URL=database_url, SECRET_KEY=KEY) as (process, client):
        address = client.base_url.host, client.base_url.port or 0
        with socket.create_connection(address, timeout=TIMEOUT) as connection:
            connection.sendall(post)
            connection.sendall(body + b"GET /api/tags HTTP/1.1\r\nconnection: close\r\n\r\n")
            answers = connection.makefile("rb").read()
        assert client.get("/api/profiles/ann").status_code == 200
        assert end(process, signal.SIGTERM) == (0, "", "")
    assert re.findall(rb"HTTP/1\.1 (\d+) ", answers) == [b"201", b"200"]


def test_slow_and_silent_clients_are_closed_and_one_too_many_is_told_so(folder: Path, database_url: str) -> None:
    limits = {
        "HTTP_HEAD_TIMEOUT": "3", "HTTP_BODY_TIMEOUT": "3", "HTTP_MAX_HEAD_BYTES": "1024", "HTTP_MAX_CONNECTIONS": "3"
    }  # fmt: skip
    slow = [b"", b"GET /health/live HTTP/1.1\r\nslow:", b"POST /api/users HTTP/1.1\r\ncontent-length: 9\r\n\r\n{"]
    with service(folder=folder, DATABASE_URL=database_url, SECRET_KEY=KEY, **limits) as (process, client):
        address = client.base_url.host, client.base_url.port or 0
        with ExitStack() as stack:
            connections = [stack.enter_context(socket.create_connection(address, timeout=TIMEOUT)) for _ in slow]
            for connection, start in zip(connections, slow, strict=True):
                connection.sendall(start)
            refused = client.get("/health/live")
            answers = [connection.makefile("rb").read() for connection in connections]
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert [answer[:12] for answer in answers] == [b"", b"HTTP/1.1 408", b"HTTP/1.1 408"]
        assert client.get("/health/live", headers={"long": "x" * 1024}).status_code == 431
        assert client.get("/health/live").status_code == 200
        code, _, errors = end(process, signal.SIGTERM)
        assert (code, events(errors)) == (0, ["answered 503: 3 connections of clients are open, as many as allowed"])
