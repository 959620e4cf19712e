"""The contestants of the HTTP benchmark, and whether they answer alike."""

import json
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from benchmarks.http.routes import BARE, ORM, OURS, POOL, SECRET_KEY, UNRESET, Route
from benchmarks.processes import get, process
from benchmarks.server import CONNECTIONS

MODULES: dict[str, tuple[str, dict[str, str]]] = {
    POOL: ("benchmarks.http.pool", {"RESET": "1"}),
    UNRESET: ("benchmarks.http.pool", {}),
    ORM: ("benchmarks.http.orm", {}),
}


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
        "DATABASE_URL": dsn, "SECRET_KEY": SECRET_KEY, "DB_ALLOW_SUPERUSER": "true",
        "DB_POOL_SIZE": str(CONNECTIONS), "DB_MAX_OVERFLOW": "0",
    }  # fmt: skip


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
