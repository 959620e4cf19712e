"""Clients that read an export a few bytes a second."""

import asyncio
import socket
from contextlib import closing, suppress
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from tests.faults.kinds.setting import Setting, rounds, served
from tests.faults.ledger import Ledger
from tests.faults.servers import Server

# 16 MB, which are more than the kernel takes off the service's hands.
_LONG_ARTICLES = """
    insert into articles (author_id, slug_words, title, description, body)
    select min(users.id), 'long', 'Long ' || n, 'd', repeat('x', 60000)
    from users, generate_series(1, 270) as n group by n
"""
_EXPORTS = """
    select count(*) from pg_stat_activity
    where application_name = 'bindery' and state <> 'idle' and query like '%export.stream_articles%'
"""
_READERS, _LIMIT = 6, 2
# In seconds; after them the exports of all readers have to be over by far.
_READ_TIMEOUT, _ENDED = 1, 20


async def slow_readers(setting: Setting, ledger: Ledger) -> str:
    """Clients read an export, a few bytes a second. They have their part of the pool, and not for long."""
    server = setting.server("exported")
    await server.create()
    limits: dict[str, Any] = {"EXPORT_CONNECTIONS": f"{_LIMIT}", "EXPORT_READ_TIMEOUT": f"{_READ_TIMEOUT}"}
    # On a machine that is busy with something else requests would be refused for their wait, whoever reads slowly.
    sizes: dict[str, Any] = {"DB_POOL_SIZE": "4", "DB_MAX_OVERFLOW": "0", "OVERLOAD_TARGET": "0"}
    async with served(setting, server.address(), ledger, **limits, **sizes) as (process, load):
        await server.execute(_LONG_ARTICLES)

        async def read_slowly() -> None:
            readers = [asyncio.create_task(_read_slowly(process.address, load.token)) for _ in range(_READERS)]
            try:
                ledger.wrong += await _watch(server)
            finally:
                for reader in readers:
                    reader.cancel()
                answers = await asyncio.gather(*readers, return_exceptions=True)
            ledger.wrong += [f"an export was answered {answer!r}" for answer in answers if not isinstance(answer, str)]
            ledger.wrong += _complaints([answer for answer in answers if isinstance(answer, str)])

        await rounds(setting, load, read_slowly)
    if strange := ledger.statuses.keys() - {"200", "201"}:
        ledger.wrong.append(f"while exports were read slowly, others were answered {sorted(strange)}")
    return server.address()


async def _watch(server: Server) -> list[str]:
    """Wait until exports have begun and all have ended. Return what was wrong with them."""
    most, running, began = 0, 0, monotonic()
    while running or not most:
        if monotonic() - began > _ENDED:
            return [f"{running} exports ran for {_ENDED} s, and {most} at most" if most else "no export began"]
        running = int(str(await server.execute(_EXPORTS)))
        most = max(most, running)
        await asyncio.sleep(0.05)
    return [f"{most} exports held a connection at once"] if most > _LIMIT else []


async def _read_slowly(address: str, token: str) -> str:
    """Ask for the export and read it slowly, for ever. Return the beginning of the answer when that is cancelled."""
    url, loop, head = urlsplit(address), asyncio.get_running_loop(), b""
    with closing(socket.socket()) as client, suppress(asyncio.CancelledError, ConnectionError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, (url.hostname, url.port))
        request = f"GET /api/articles/export HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n"
        await loop.sock_sendall(client, request.encode())
        head = await loop.sock_recv(client, 1000)
        while True:
            await loop.sock_recv(client, 8)
            await asyncio.sleep(0.2)
    return head.decode(errors="replace")


def _complaints(answers: list[str]) -> list[str]:
    """Return what is wrong with the answers: some are exports, and the others may be asked for again."""
    refused = [answer for answer in answers if answer.startswith("HTTP/1.1 503")]
    found = [f"an export was refused so: {answer}" for answer in refused if "retry-after" not in answer.lower()]
    begun = sum(answer.startswith("HTTP/1.1 200") for answer in answers)
    if not begun or begun + len(refused) < _READERS:
        found.append(f"of {_READERS} exports {begun} began, and {len(refused)} were refused")
    return found
