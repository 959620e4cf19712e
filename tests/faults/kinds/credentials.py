"""Passwords and certificates that are replaced while the service connects."""

import asyncio
import secrets
from itertools import count
from typing import Any

from tests.faults.certificates import Authority
from tests.faults.kinds.setting import Setting, rounds, served
from tests.faults.ledger import Ledger

# Sessions live for a second, so that there is always somebody who connects.
_SHORT: dict[str, Any] = {"DB_POOL_MAX_LIFETIME": "1"}

# Without the session that asks.
_OPENED = """
    select count(*) from pg_stat_ssl join pg_stat_activity using (pid)
    where ssl and backend_start > '{began}' and pid <> pg_backend_pid()
"""


async def rotated_password(setting: Setting, ledger: Ledger) -> str:
    """The password of the service's role and the file that the service reads it from change, one after the other."""
    server, file = setting.server("secrets"), setting.folder / "password"
    await server.create()
    await server.execute("create role app superuser login")
    server.ask_for_password("app")
    await server.reload()

    async def change_role() -> None:
        await server.execute(f"alter role app password '{password}'")

    async def change_file() -> None:
        fresh = file.with_suffix(".new")
        fresh.write_text(password)
        fresh.replace(file)

    async def rotate() -> None:
        nonlocal password
        password = secrets.token_urlsafe()
        steps = [change_role, change_file]
        setting.chance.shuffle(steps)
        await steps[0]()
        await asyncio.sleep(setting.chance.uniform(0.5, 1.5))
        await steps[1]()

    password = secrets.token_urlsafe()
    await change_role()
    await change_file()
    try:
        dsn = server.address().replace("postgres@", "app@")
        async with served(setting, dsn, ledger, workers=1, DB_PASSWORD_FILE=str(file), **_SHORT) as (_, load):
            await rounds(setting, load, rotate)
    finally:
        file.unlink()
    _only_refused(ledger)
    return server.address()


async def replaced_certificate(setting: Setting, ledger: Ledger) -> str:
    """The server's certificate is replaced: by one like it, or first by one of an authority that nobody trusts."""
    server = setting.server("encrypted", tls=True)
    await server.create()
    trusted, strange = (Authority(server.data, name, server.owner) for name in ("trusted", "strange"))
    trusted.sign()
    await server.use_tls()

    number = count()

    async def replace() -> None:
        if next(number) % 2 == 0:
            strange.sign()
            await server.reload()
            began = await server.execute("select now()::text")
            await asyncio.sleep(setting.chance.uniform(1.2, 1.8))
            if opened := await server.execute(_OPENED.format(began=began)):
                ledger.wrong.append(f"{opened} sessions were opened although nobody trusts the server")
        trusted.sign()
        await server.reload()

    tls: dict[str, Any] = {"DB_TLS_MODE": "verify-full", "DB_TLS_ROOT_CERT": str(trusted.file)}
    async with served(setting, server.address(), ledger, **tls, **_SHORT) as (_, load):
        await rounds(setting, load, replace)
    _only_refused(ledger)
    return server.address()


def _only_refused(ledger: Ledger) -> None:
    """A session that cannot be opened costs no request its certainty: it is answered, or was not executed."""
    strange = ledger.statuses.keys() - {"200", "201", "503"}
    if strange or ledger.unknown:
        ledger.wrong.append(f"{len(ledger.unknown)} requests have an unknown outcome; there were {sorted(strange)}")
