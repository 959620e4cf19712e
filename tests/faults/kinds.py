"""The kinds of faults. Each is a coroutine function that makes so many rounds of it under load, and fills a ledger."""

import asyncio
import random
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

from tests.faults.ledger import Ledger
from tests.faults.leftovers import leftovers
from tests.faults.load import Load
from tests.faults.servers import Server
from tests.faults.service import ServiceProcess, migrate, service
from tests.network import Network
from tests.pgbouncer import bouncing

# Fewer than the pool has connections, so that they change hands.
SESSIONS_OF_PGBOUNCER = 5
# docs/pool.md recommends these: by default PgBouncer lets clients wait for two minutes, and does not look for fifteen
# seconds whether a server is back.
PATIENT = {"DB_STATEMENT_TIMEOUT": "60", "DB_POOL_TIMEOUT": "60"}
IMPATIENT = {"server_login_retry": "0.2", "query_wait_timeout": "2", "server_connect_timeout": "2"}


@dataclass(frozen=True, slots=True)
class Setting:
    """A folder for `servers`, how many rounds, and the source of chance."""

    folder: Path
    rounds: int
    chance: random.Random
    servers: list[Server]

    def server(self, name: str) -> Server:
        """Return a server that does not exist yet, and is removed afterwards."""
        self.servers.append(Server(self.folder, name))
        return self.servers[-1]


Kind = Callable[[Setting, Ledger], Awaitable[str]]
"""Makes the rounds, and returns the address of the database that is to be audited."""


@asynccontextmanager
async def served(
    dsn: str, ledger: Ledger, chance: random.Random, *, workers: int = 1, **settings: str
) -> AsyncGenerator[tuple[ServiceProcess, Load]]:
    """Serve the database under load during the block."""
    async with service(dsn, workers=workers, **settings) as process, loaded(process, ledger, chance) as load:
        yield process, load


@asynccontextmanager
async def loaded(process: ServiceProcess, ledger: Ledger, chance: random.Random) -> AsyncGenerator[Load]:
    """Put the service under load during the block, which begins when the first article is stored."""
    load = Load(process.address, ledger, chance)
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
        async with served(dsn, ledger, setting.chance, workers=workers, **settings) as (_, load):
            for _ in range(setting.rounds):
                await asyncio.sleep(setting.chance.uniform(0.1, 0.5))
                await fault(server)
                await load.until_stored(monotonic())
    return server.address()


async def killed_server(setting: Setting, ledger: Ledger, *, workers: int = 1, pooled: bool = False) -> str:
    """PostgreSQL and all its processes are killed, and start again half a second later at most."""

    async def kill(server: Server) -> None:
        await server.kill()
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


async def broken_network(setting: Setting, ledger: Ledger) -> str:
    """Connections to the server break, are refused, or go silent for longer than a statement may take."""
    server = setting.server("behind")
    await server.create()
    async with Network(server.address()) as network, served(network.dsn, ledger, setting.chance) as (_, load):
        for number in range(setting.rounds):
            await asyncio.sleep(setting.chance.uniform(0.1, 0.4))
            if number % 3 == 0:
                network.drop()
            elif number % 3 == 1:
                await network.cut()
                await asyncio.sleep(setting.chance.uniform(0, 0.5))
                await network.mend()
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
    async with Network(server.address()) as network, served(network.dsn, ledger, setting.chance) as (_, load):
        for _ in range(setting.rounds):
            seen = network.statements.count("COMMIT;")
            began = monotonic()
            while network.statements.count("COMMIT;") == seen and monotonic() - began < 2:
                await asyncio.sleep(0)
            network.drop()
            await load.until_stored(monotonic())
    return server.address()


async def cancelled_requests(setting: Setting, ledger: Ledger, *, pooled: bool = False) -> str:
    """Clients go away at any moment of their requests, a thousand in each round. Nothing may be left of them."""
    server = setting.server("cancelled")
    await server.create()
    with reached(server, pooled=pooled, query_wait_timeout="60") as (dsn, settings):
        async with service(dsn, workers=1, **PATIENT, **settings) as process:
            async with loaded(process, ledger, setting.chance) as load:
                for _ in range(setting.rounds):
                    for _ in range(20):
                        await asyncio.gather(*(_go_away(load, setting.chance) for _ in range(50)))
                    await load.until_stored(monotonic())
            ledger.wrong += await leftovers(process.address, server)
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


async def failover(setting: Setting, ledger: Ledger) -> str:
    """The primary is killed and its synchronous standby promoted; then the dead one becomes a standby of it."""
    primary, standby = setting.server("one"), setting.server("two")
    await primary.create()
    await standby.follow(primary)
    dsn = both(primary, standby) + "?target_session_attrs=read-write"
    async with served(dsn, ledger, setting.chance) as (_, load):
        for _ in range(setting.rounds):
            await asyncio.sleep(setting.chance.uniform(0.2, 0.6))
            await primary.kill()
            await asyncio.sleep(setting.chance.uniform(0, 0.3))
            await standby.promote()
            await load.until_stored(monotonic())
            primary, standby = standby, primary
            await standby.follow(primary)
    return primary.address()


async def switchover(setting: Setting, ledger: Ledger) -> str:
    """The servers change places. The old primary is there again as a standby before the new one takes writes.

    The address asks for no role, so that the service connects to the old primary again, reads there, and learns by
    its refusals that it has to look elsewhere.
    """
    primary, standby = setting.server("red"), setting.server("blue")
    await primary.create()
    await standby.follow(primary)
    async with served(both(primary, standby), ledger, setting.chance) as (_, load):
        for _ in range(setting.rounds):
            await asyncio.sleep(setting.chance.uniform(0.2, 0.6))
            await primary.stop()
            await primary.return_to(standby)
            await asyncio.sleep(setting.chance.uniform(0, 0.5))
            await standby.promote()
            await load.until_stored(monotonic())
            primary, standby = standby, primary
            await primary.require_standby(on=True)
    return primary.address()


def both(one: Server, two: Server) -> str:
    """The address of the database on either server."""
    return one.address().replace(f":{one.port}", f":{one.port},127.0.0.1:{two.port}")


async def replaced_workers(setting: Setting, ledger: Ledger) -> str:
    """The workers are replaced one after the other. Nobody may be refused, and no answer be lost."""
    server = setting.server("rolling")
    await server.create()
    async with served(server.address(), ledger, setting.chance, workers=2) as (process, load):
        for _ in range(setting.rounds):
            before = set(process.workers())
            process.process.send_signal(signal.SIGUSR1)
            while before & set(process.workers()):
                await asyncio.sleep(0.05)
            await load.until_stored(monotonic())
    if ledger.statuses.keys() - {"200", "201"}:
        ledger.wrong.append(f"while workers were replaced there were {dict(ledger.statuses)}")
    return server.address()


KINDS: dict[str, Kind] = {
    "server killed": killed_server,
    "server killed, 2 workers": killed_server_with_workers,
    "network broken": broken_network,
    "cut at COMMIT": lost_commit,
    "requests cancelled": cancelled_requests,
    "failover": failover,
    "switchover": switchover,
    "workers replaced": replaced_workers,
    "server killed behind PgBouncer": partial(killed_server, pooled=True),
    "requests cancelled behind PgBouncer": partial(cancelled_requests, pooled=True),
    "server full": full_server,
    "table locked": locked_table,
    "migrated": migrated_under_load,
}
POOLED = frozenset({"server killed behind PgBouncer", "requests cancelled behind PgBouncer"})
"""Those that need Debian's pgbouncer."""
