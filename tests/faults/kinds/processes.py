"""Faults of the service itself."""

import asyncio
import signal
from time import monotonic

from tests.faults.kinds.setting import Setting, served
from tests.faults.ledger import Ledger


async def replaced_workers(setting: Setting, ledger: Ledger) -> str:
    """The workers are replaced one after the other. Nobody may be refused, and no answer be lost."""
    server = setting.server("rolling")
    await server.create()
    async with served(setting, server.address(), ledger, workers=2) as (process, load):
        for _ in range(setting.rounds):
            before = set(process.workers())
            process.process.send_signal(signal.SIGUSR1)
            while before & set(process.workers()):
                await asyncio.sleep(0.05)
            await load.until_stored(monotonic())
    if ledger.statuses.keys() - {"200", "201"}:
        ledger.wrong.append(f"while workers were replaced there were {dict(ledger.statuses)}")
    return server.address()
