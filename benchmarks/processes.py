"""Services as processes, each on a port of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

ROOT = Path(__file__).parents[1]
START_SECONDS = 30.0


@contextmanager
def process(module: list[str], settings: dict[str, str]) -> Generator[int]:
    """Run `python -m MODULE` and yield its port once it answers."""
    port = free_port()
    arguments = module if module[0] == "app" else [*module, str(port)]
    environment = {**os.environ, "PORT": str(port), **settings}
    running = subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        await_answer(running, port, module[0])
        yield port
    finally:
        running.terminate()
        running.wait()


def await_answer(running: "subprocess.Popen[bytes]", port: int, name: str) -> None:
    """Return when the port is open. Raises ChildProcessError after 30 seconds, or when the process has ended."""
    ends = time.monotonic() + START_SECONDS
    while running.poll() is None and time.monotonic() < ends:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ChildProcessError(f"{name} did not start; its own message is above")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(port: int, path: str, token: str | None) -> bytes:
    """Return the body of an answer. Raises ValueError for any status but 200."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Authorization": f"Token {token}"} if token else {})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError(f"GET {path} was answered {answer.status}: {body[:500]!r}")
    return body
