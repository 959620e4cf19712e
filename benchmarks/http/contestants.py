"""The contestants as processes, each on a port of its own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.http.routes import BARE, ORM, OURS, POOL, SECRET_KEY, UNRESET, Route
from benchmarks.http.server import CONNECTIONS

ROOT = Path(__file__).parents[2]
MODULES: dict[str, tuple[str, dict[str, str]]] = {
    POOL: ("benchmarks.http.pool", {"RESET": "1"}),
    UNRESET: ("benchmarks.http.pool", {}),
    ORM: ("benchmarks.http.orm", {}),
}
START_SECONDS = 30.0


@contextmanager
def contestants(dsn: str, routes: list[Route]) -> Generator[dict[str, int]]:
    """Start all and yield their ports. The answers were compared with those of the service.

    Raises ValueError where one answers otherwise, and ChildProcessError when one does not start.
    """
    with ExitStack() as running:
        ports = {OURS: running.enter_context(process(["app", "serve"], service(dsn)))}
        for name, (module, settings) in MODULES.items():
            ports[name] = running.enter_context(process([module], {"DATABASE_URL": dsn, **settings}))
        answers = {route.path: get(ports[OURS], route.path, route.token) for route in routes}
        for name, port in ports.items():
            compare(name, port, routes, answers)
        bodies = {path: body.decode() for path, body in answers.items()}
        ports[BARE] = running.enter_context(process(["benchmarks.http.bare"], {"BARE": json.dumps(bodies)}))
        yield ports


def service(dsn: str) -> dict[str, str]:
    """Return the settings of the service: production's, with as many connections as the others have."""
    return {
        "DATABASE_URL": dsn, "SECRET_KEY": SECRET_KEY, "DB_POOL_SIZE": str(CONNECTIONS), "DB_MAX_OVERFLOW": "0",
    }  # fmt: skip


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


def compare(name: str, port: int, routes: list[Route], answers: dict[str, bytes]) -> None:
    """Raise ValueError where this contestant answers otherwise than the service."""
    for route in routes:
        if not serves(name, route):
            continue
        mine = get(port, route.path, route.token)
        if json.loads(mine) != json.loads(answers[route.path]):
            raise ValueError(f"{name} answers {route.path} otherwise than the service: {mine[:500]!r}")


def serves(name: str, route: Route) -> bool:
    """Return whether this contestant has the route: the ORM is measured where a ratio to it is wanted."""
    return name != ORM or ORM in route.bars


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
