"""Faults of one server."""

import asyncio

from tests.faults.kinds.setting import Setting, rounds_on
from tests.faults.ledger import Ledger
from tests.faults.servers import Server
from tests.faults.service import migrate


async def killed_server(setting: Setting, ledger: Ledger, *, workers: int = 1, pooled: bool = False) -> str:
    """PostgreSQL and all its processes are killed, and start again half a second later at most."""

    async def kill(server: Server) -> None:
        await server.kill()
        with ledger.no_writes():
            await asyncio.sleep(setting.chance.uniform(0, 0.5))
        await server.start()

    return await rounds_on(setting, ledger, kill, workers, pooled=pooled)


async def killed_server_with_workers(setting: Setting, ledger: Ledger) -> str:
    """The same, with two processes that serve."""
    return await killed_server(setting, ledger, workers=2)


async def full_server(setting: Setting, ledger: Ledger) -> str:
    """Other programs take every connection that the server has, and the service loses its own."""

    async def fill(server: Server) -> None:
        async with server.filled():
            await asyncio.sleep(setting.chance.uniform(0.2, 1))

    return await rounds_on(setting, ledger, fill)


async def migrated_under_load(setting: Setting, ledger: Ledger) -> str:
    """The newest migration is undone and applied again."""

    async def undo_and_apply(server: Server) -> None:
        await migrate(server.address(), "rollback")
        await migrate(server.address(), "apply")

    return await rounds_on(setting, ledger, undo_and_apply)


async def locked_table(setting: Setting, ledger: Ledger) -> str:
    """A migration or a person locks a table, for longer than a statement may wait."""

    async def lock(server: Server) -> None:
        await server.lock("articles", setting.chance.uniform(0.5, 4))

    return await rounds_on(setting, ledger, lock)
