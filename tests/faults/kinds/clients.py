"""Faults of clients."""

import asyncio
import random
from time import monotonic
from urllib.parse import urlsplit

from tests.faults.kinds.setting import Setting, served
from tests.faults.ledger import Ledger


async def cancelled_requests(setting: Setting, ledger: Ledger) -> str:
    """Clients go away at any moment of their requests, a thousand in each round. Nothing may be left of them."""
    server = setting.server("cancelled")
    await server.create()
    async with served(setting, server.address(), ledger) as (process, load):
        for _ in range(setting.rounds):
            for _ in range(20):
                await asyncio.gather(*(_go_away(process.address, setting.chance) for _ in range(50)))
            await load.until_stored(monotonic())
    left = await server.execute("select count(*) from pg_stat_activity where application_name = 'bindery'")
    if left:
        ledger.wrong.append(f"{left} sessions are left after the service ended")
    return server.address()


async def _go_away(address: str, chance: random.Random) -> None:
    url = urlsplit(address)
    _, writer = await asyncio.open_connection(url.hostname, url.port)
    path = chance.choice(("/api/articles", "/api/tags", "/api/articles/export"))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await asyncio.sleep(chance.uniform(0, 0.03))
    writer.transport.abort()
