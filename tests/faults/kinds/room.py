"""Servers that lack the room for a statement, and that end sessions which do nothing."""

import asyncio
from contextlib import suppress
from time import monotonic

import asyncpg

from tests.faults.kinds.setting import Setting, rounds, rounds_on, served
from tests.faults.ledger import Ledger
from tests.faults.servers import Server

# Of the disk with the tables, in megabytes.
SMALL = 16
# The longest article, in bytes.
LONG = 100_000


async def full_disk(setting: Setting, ledger: Ledger) -> str:
    """The disk with the tables is full: PostgreSQL serves reads, and refuses what needs a new page (53100)."""
    server = setting.server("disk", disk=SMALL)
    await server.create()
    await server.execute(f"create tablespace small location '{server.disk_folder}'")
    await server.execute("alter database postgres set default_tablespace = small")

    async def fill() -> None:
        await _fill(server)
        await until_refused(ledger)
        await server.execute("drop table filler")

    async with served(setting, server.address(), ledger) as (_, load):
        await rounds(setting, load, fill)
    return server.address()


async def _fill(server: Server) -> None:
    """Fill the disk to the last page, with a table that can be dropped."""
    connection = await asyncpg.connect(server.address())
    try:
        await connection.execute("create table filler (b text storage plain)")
        for rows in (512, 64, 1):
            with suppress(asyncpg.DiskFullError):
                while True:
                    await connection.execute(
                        f"insert into filler select repeat('x', 7000) from generate_series(1, {rows})"
                    )
    finally:
        await connection.close()


async def until_refused(ledger: Ledger) -> None:
    """Wait until a request from now on was answered 503: so the fault is one."""
    began, before = monotonic(), ledger.statuses["503"]
    while ledger.statuses["503"] == before:
        if monotonic() - began > 10:
            ledger.wrong.append("nobody noticed the fault within 10 s")
            return
        await asyncio.sleep(0.01)


async def no_memory(setting: Setting, ledger: Ledger) -> str:
    """The server's processes get no more memory (53200), those that serve the service and those that it would get."""
    server = setting.server("memory")
    await server.create()
    async with served(setting, server.address(), ledger) as (_, load):

        async def starve() -> None:
            began, seconds = monotonic(), setting.chance.uniform(0.3, 1)
            noticed = asyncio.create_task(until_refused(ledger))
            try:
                while not noticed.done() or monotonic() - began < seconds:
                    await server.limit_memory("1")
                    # What a short statement needs, a process often has.
                    await load.post(length=LONG)
            finally:
                await server.limit_memory("unlimited")

        await rounds(setting, load, starve)
    return server.address()


async def ended_sessions(setting: Setting, ledger: Ledger) -> str:
    """The server ends sessions that do nothing for a few milliseconds, also within a transaction (57P05, 25P03)."""

    async def be_strict(server: Server) -> None:
        settings = ("idle_session_timeout", "idle_in_transaction_session_timeout")
        for name in settings:
            await server.execute(f"alter system set {name} = '{setting.chance.randrange(1, 30)}ms'")
        await server.execute("select pg_reload_conf()")
        await asyncio.sleep(setting.chance.uniform(0.5, 1.5))
        for name in settings:
            await server.execute(f"alter system reset {name}")
        await server.execute("select pg_reload_conf()")

    return await rounds_on(setting, ledger, be_strict)
