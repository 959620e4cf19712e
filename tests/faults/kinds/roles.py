"""Servers that change their roles."""

import asyncio
from time import monotonic

from tests.faults.kinds.setting import Setting, served
from tests.faults.ledger import Ledger
from tests.faults.servers import Server


async def failover(setting: Setting, ledger: Ledger) -> str:
    """The primary is killed and its synchronous standby promoted; then the dead one becomes a standby of it."""
    primary, standby = setting.server("one"), setting.server("two")
    await primary.create()
    await standby.follow(primary)
    dsn = both(primary, standby) + "?target_session_attrs=read-write"
    async with served(setting, dsn, ledger) as (_, load):
        for _ in range(setting.rounds):
            await asyncio.sleep(setting.chance.uniform(0.2, 0.6))
            await primary.kill()
            with ledger.no_writes():
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
    async with served(setting, both(primary, standby), ledger) as (_, load):
        for _ in range(setting.rounds):
            await asyncio.sleep(setting.chance.uniform(0.2, 0.6))
            await primary.stop()
            with ledger.no_writes():
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


async def changed_name(setting: Setting, ledger: Ledger) -> str:
    """The name of the server leads to another one: after a failover, or after a switchover whose old primary answers.

    The pool has one name only, and no role to look for.
    """
    primary = setting.server("east")
    standby = setting.server("west", "127.0.0.2", primary.port)
    names = setting.folder / "names"
    await primary.create()
    await standby.follow(primary)
    names.write_text(f"localhost {primary.host}\n")
    try:
        dsn = primary.address().replace(primary.host, "localhost")
        async with served(setting, dsn, ledger, names=str(names)) as (_, load):
            for number in range(setting.rounds):
                await asyncio.sleep(setting.chance.uniform(0.2, 0.6))
                is_clean = bool(number % 2)
                await (primary.stop() if is_clean else primary.kill())
                with ledger.no_writes():
                    if is_clean:
                        await primary.return_to(standby)
                    await standby.promote()
                    await asyncio.sleep(setting.chance.uniform(0, 0.3))
                names.write_text(f"localhost {standby.host}\n")
                await load.until_stored(monotonic())
                primary, standby = standby, primary
                await _make_standby(standby, primary, is_one=is_clean)
        return primary.address()
    finally:
        names.unlink()


async def _make_standby(server: Server, primary: Server, *, is_one: bool) -> None:
    if is_one:
        await primary.require_standby(on=True)
    else:
        await server.follow(primary)
