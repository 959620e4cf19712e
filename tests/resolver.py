"""Names that resolve to what a test says, in this process or, by a file, in one that it starts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import uvloop

Lookup = Callable[[str], Sequence[str] | None]
LOOPS: tuple[type[Any], ...] = (asyncio.BaseEventLoop, uvloop.Loop)


def resolving(lookup: Lookup, original: Any) -> Any:
    """A method `getaddrinfo` for an event loop: it asks `lookup` first, and the system for names that it lacks."""

    async def getaddrinfo(loop: Any, host: str, port: int, **options: Any) -> list[Any]:
        addresses = lookup(host)
        if addresses is None:
            return await original(loop, host, port, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, port)) for each in addresses]

    return getaddrinfo


def resolve_by_file(file: Path) -> None:
    """From now on, in every event loop, names are those of the file's lines, `name address address`, read each time."""

    def lookup(host: str) -> Sequence[str] | None:
        lines = (line.split() for line in file.read_text().splitlines())
        return next((addresses for name, *addresses in lines if name == host), None)

    for loop in LOOPS:
        loop.getaddrinfo = resolving(lookup, loop.getaddrinfo)
