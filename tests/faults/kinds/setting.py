"""What all kinds share: servers of their own, the service under load, and rounds."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.faults.servers import Server
from tests.faults.service import ServiceProcess, service
from tests.pgbouncer import bouncing

# Fewer than the pool has connections, so that they change hands.
SESSIONS_OF_PGBOUNCER = 5
# docs/pool.md recommends these: by default PgBouncer lets clients wait for two minutes, and does not look for fifteen
# seconds whether a server is back.
IMPATIENT = {"server_login_retry": "0.2", "query_wait_timeout": "2", "server_connect_timeout": "2"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A folder for `servers`, how many rounds, the source of chance, and how many processes serve."""

    folder: Path
    rounds: int
    chance: random.Random
    servers: list[Server]
    workers: int = 1

    def server(self, name: str, host: str = "127.0.0.1", port: int = 0, **more: Any) -> Server:
        """Return a server that does not exist yet, and is removed afterwards."""
        self.servers.append(Server(self.folder, name, host, port, **more))
        return self.servers[-1]


Kind = Callable[[Setting, Ledger], Awaitable[str]]
"""Makes the rounds, and returns the address of the database that is to be audited."""


@asynccontextmanager
async def served(
    setting: Setting, dsn: str, ledger: Ledger, *, workers: int = 1, **settings: str
) -> AsyncGenerator[tuple[ServiceProcess, Load]]:
    """Serve the database under load during the block, by `workers` processes at least."""
    several = max(workers, setting.workers)
    async with service(dsn, workers=several, **settings) as process, loaded(setting, process, ledger) as load:
        yield process, load


@asynccontextmanager
async def loaded(setting: Setting, process: ServiceProcess, ledger: Ledger) -> AsyncGenerator[Load]:
    """Put the service under load during the block, which begins when the first article is stored."""
    load = Load(process.address, ledger, setting.chance)
    async with load.running():
        await load.until_stored(monotonic())
        ledger.recovered.clear()
        yield load


@contextmanager
def reached(server: Server, *, pooled: bool, **changes: str) -> Generator[tuple[str, dict[str, str]]]:
    """The address of the server for a service, and what else that is told: with `pooled`, through a PgBouncer.

    `changes` are settings of PgBouncer.
    """
    if not pooled:
        yield server.address(), {}
        return
    with bouncing(server.address(), connections=SESSIONS_OF_PGBOUNCER, **IMPATIENT | changes) as dsn:
        yield dsn, {"DB_PGBOUNCER": "true", "MIGRATION_DATABASE_URL": server.address()}


async def rounds_on(
    setting: Setting,
    ledger: Ledger,
    fault: Callable[[Server], Awaitable[None]],
    workers: int = 1,
    *,
    pooled: bool = False,
) -> str:
    """Let the fault happen to a server of its own, round by round, each until writes are stored again."""
    server = setting.server("server")
    await server.create()
    with reached(server, pooled=pooled) as (dsn, settings):
        async with served(setting, dsn, ledger, workers=workers, **settings) as (_, load):
            await rounds(setting, load, lambda: fault(server))
    return server.address()


async def rounds(setting: Setting, load: Load, fault: Callable[[], Awaitable[None]]) -> None:
    """Let the fault happen round by round, each until writes are stored again."""
    for _ in range(setting.rounds):
        await asyncio.sleep(setting.chance.uniform(0.1, 0.5))
        await fault()
        await load.until_stored(monotonic())
