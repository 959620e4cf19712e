"""What all kinds share: servers of their own, the service under load, and rounds."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from tests.faults.ledger import Ledger
from tests.faults.load import Load
from tests.faults.servers import Server
from tests.faults.service import ServiceProcess, service


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
    async with service(dsn, workers=max(workers, setting.workers), **settings) as process:
        load = Load(process.address, ledger, setting.chance)
        async with load.running():
            await load.until_stored(monotonic())
            ledger.recovered.clear()
            yield process, load


async def rounds_on(
    setting: Setting, ledger: Ledger, fault: Callable[[Server], Awaitable[None]], workers: int = 1
) -> str:
    """Let the fault happen to a server of its own, round by round, each until writes are stored again."""
    server = setting.server("server")
    await server.create()
    async with served(setting, server.address(), ledger, workers=workers) as (_, load):
        await rounds(setting, load, lambda: fault(server))
    return server.address()


async def rounds(setting: Setting, load: Load, fault: Callable[[], Awaitable[None]]) -> None:
    """Let the fault happen round by round, each until writes are stored again."""
    for _ in range(setting.rounds):
        await asyncio.sleep(setting.chance.uniform(0.1, 0.5))
        await fault()
        await load.until_stored(monotonic())
