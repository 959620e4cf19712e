"""Faults of the line between the service and its server."""

import asyncio
from time import monotonic

from tests.faults.kinds.setting import Setting, served
from tests.faults.ledger import Ledger
from tests.network import Network


async def broken_network(setting: Setting, ledger: Ledger) -> str:
    """Connections break, are refused, go silent for longer than a statement may take, or are slow, byte by byte."""
    server = setting.server("behind")
    await server.create()
    async with Network(server.address()) as network, served(setting, network.dsn, ledger) as (_, load):
        for number in range(setting.rounds):
            await asyncio.sleep(setting.chance.uniform(0.1, 0.4))
            if number % 4 == 0:
                network.drop()
            elif number % 4 == 1:
                await network.cut()
                await asyncio.sleep(setting.chance.uniform(0, 0.5))
                await network.mend()
            elif number % 4 == 2:
                network.latency = setting.chance.uniform(0.01, 0.1)
                await asyncio.sleep(setting.chance.uniform(0.5, 1.5))
                network.latency = 0.0
            else:
                network.hold()
                await asyncio.sleep(setting.chance.uniform(0.5, 4))
                # Whatever was held is late by now, and belongs to nobody any more.
                network.drop()
            await load.until_stored(monotonic())
    return server.address()


async def lost_commit(setting: Setting, ledger: Ledger) -> str:
    """Connections break at the moment when a COMMIT was sent."""
    server = setting.server("commits")
    await server.create()
    async with Network(server.address()) as network, served(setting, network.dsn, ledger) as (_, load):
        for _ in range(setting.rounds):
            seen = network.statements.count("COMMIT;")
            began = monotonic()
            while network.statements.count("COMMIT;") == seen and monotonic() - began < 2:
                await asyncio.sleep(0)
            network.drop()
            await load.until_stored(monotonic())
    return server.address()
