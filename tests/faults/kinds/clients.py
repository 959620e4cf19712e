"""Faults of clients."""

import asyncio
import random
from time import monotonic
from urllib.parse import urlsplit

from tests.faults.kinds.setting import Setting, loaded, reached
from tests.faults.ledger import Ledger
from tests.faults.leftovers import leftovers
from tests.faults.load import Load
from tests.faults.service import service

PATIENT = {"DB_STATEMENT_TIMEOUT": "60", "DB_POOL_TIMEOUT": "60"}


async def cancelled_requests(setting: Setting, ledger: Ledger, *, pooled: bool = False) -> str:
    """Clients go away at any moment of their requests, a thousand in each round. Nothing may be left of them."""
    server = setting.server("cancelled")
    await server.create()
    with reached(server, pooled=pooled, query_wait_timeout="60") as (dsn, settings):
        async with service(dsn, workers=setting.workers, **PATIENT, **settings) as process:
            async with loaded(setting, process, ledger) as load:
                for _ in range(setting.rounds):
                    for _ in range(20):
                        await asyncio.gather(*(_go_away(load, setting.chance) for _ in range(50)))
                    await load.until_stored(monotonic())
            ledger.wrong += await leftovers(process.address, server, workers=setting.workers, pooled=pooled)
    left = await server.execute("select count(*) from pg_stat_activity where application_name = 'bindery'")
    if left:
        ledger.wrong.append(f"{left} sessions are left after the service ended")
    return server.address()


async def _go_away(load: Load, chance: random.Random) -> None:
    url = urlsplit(load.address)
    _, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(load.any_request())
    await asyncio.sleep(chance.uniform(0, 0.03))
    writer.transport.abort()
