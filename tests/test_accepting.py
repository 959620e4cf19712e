"""New clients under load: they are not left waiting for round after round of the event loop."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from threading import Event

from tests.processes import LISTENING, started

CLIENTS = 80
BUSY_CLIENTS = 4
# A service each of whose requests holds the event loop for 20 ms, as a round under load does.
BUSY = """
import time
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from app.serve import bind, run
from app.settings import Settings

async def busy(request):
    time.sleep(0.02)
    return PlainTextResponse("busy")

async def idle(request):
    return PlainTextResponse("idle")

run(Starlette(routes=[Route("/busy", busy), Route("/idle", idle)]), bind("127.0.0.1", 0), Settings())
"""


def test_many_clients_at_once_are_accepted_in_a_few_rounds_of_the_event_loop(tmp_path: Path) -> None:
    answered, stop = 0, Event()

    def keep_busy(port: int) -> None:
        nonlocal answered
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        while not stop.is_set():
            connection.request("GET", "/busy")
            assert connection.getresponse().read() == b"busy"
            answered += 1
        connection.close()

    with started([sys.executable, "-c", BUSY], folder=tmp_path) as service, ThreadPoolExecutor() as pool:
        assert service.stdout is not None
        [address] = re.findall(LISTENING, service.stdout.readline())
        port = int(address.rpartition(":")[2])
        busy = [pool.submit(keep_busy, port) for _ in range(BUSY_CLIENTS)]
        try:
            others = [HTTPConnection("127.0.0.1", port, timeout=20) for _ in range(CLIENTS)]
            began = answered
            for other in others:
                other.request("GET", "/idle")
            for other in others:
                assert other.getresponse().read() == b"idle"
                other.close()
            needed = answered - began
        finally:
            stop.set()
        for each in busy:
            each.result()

    # In each round at least one of them is answered, and most often all.
    assert needed < CLIENTS
