"""The way from the service to PostgreSQL, where tests can look at what passes, and cut it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Self
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

# So many bytes of a piece go one at a time.
_SINGLE = 200
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Network:
    """A port that leads to the server of `dsn`; `self.dsn` goes through it.

    `statements` are the SQL texts that were executed through it, also BEGIN and the like; `connections` counts those
    that it accepted; `waiting` says whether an answer of the server is held back; it listens on `port`.
    Every second connection is as slow as `latency` says, in seconds for each piece, while it is not zero, and its
    pieces are single bytes. While `keeps_open`, a connection that the server closes stays open to the client.
    """

    def __init__(self, dsn: str) -> None:
        self.statements: list[str] = []
        self.connections = 0
        self._address = conninfo_to_dict(dsn)
        self.waiting = False
        self.latency = 0.0
        self.keeps_open = False
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def dsn(self) -> str:
        """The address of the same database, through this network."""
        user, password = (quote(str(self._address.get(part) or ""), safe="") for part in ("user", "password"))
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{self._address['dbname']}?sslmode=disable"

    async def __aenter__(self) -> Self:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def mend(self) -> None:
        """Let connections through, again by the same port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break every connection and refuse new ones; twice is once."""
        self._server.close()
        self.release()
        while self._relays:
            # Some may be on their way to the server still.
            self.drop()
            await asyncio.wait(self._relays, timeout=0.01)
        await self._server.wait_closed()

    def drop(self) -> None:
        """Break every connection; new ones get through."""
        self.release()
        for writer in self._writers:
            writer.transport.abort()

    async def refuse(self) -> None:
        """Refuse new connections, and leave the others."""
        self._server.close()

    def hold(self) -> None:
        """Let no answer of the server through until release()."""
        self._open.clear()

    def release(self) -> None:
        """Let answers through again."""
        self._open.set()

    async def _gate(self) -> None:
        self.waiting = not self._open.is_set()
        await self._open.wait()
        self.waiting = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        relay = asyncio.current_task()
        assert relay
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)
        if not self._server.is_serving():
            # It was cut between the kernel's yes and ours.
            writer.transport.abort()
            return
        try:
            server = await self._connect()
        except OSError:
            # No server, no connection.
            writer.transport.abort()
            return
        await self._relay((reader, writer), server)

    async def _relay(self, client: Stream, server: Stream) -> None:
        writers = {client[1], server[1]}
        self._writers |= writers
        spy = StatementSpy(self.statements.append)
        write = self._write_slowly if self.connections % 2 else _write
        try:
            await asyncio.gather(
                _pump(client[0], server[1], spy.feed, write=write),
                _pump(server[0], client[1], gate=self._gate, write=write, keeps_open=lambda: self.keeps_open),
            )
        finally:
            client[1].close()
            self._writers -= writers

    async def _write_slowly(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if self.latency:
            await asyncio.sleep(self.latency)
            # The first of them: more would take the time of this process.
            for place in range(min(len(data), _SINGLE)):
                await _write(writer, data[place : place + 1])
                await asyncio.sleep(0)
            data = data[_SINGLE:]
        await _write(writer, data)

    async def _connect(self) -> Stream:
        host, port = str(self._address.get("host") or "localhost"), int(self._address.get("port") or 5432)
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)


class StatementSpy:
    """Reads the frontend's half of PostgreSQL's protocol and tells of each statement that is executed."""

    def __init__(self, tell: Callable[[str], Any]) -> None:
        self._tell = tell
        self._buffer = b""
        self._texts: dict[bytes, str] = {}
        self._started = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes, which may end within a message."""
        self._buffer += data
        while len(self._buffer) >= 5:
            # The first message has no type byte before its length.
            head = 1 if self._started else 0
            end = head + struct.unpack_from("!i", self._buffer, head)[0]
            if len(self._buffer) < end:
                return
            message, self._buffer = self._buffer[:end], self._buffer[end:]
            if self._started:
                self._read(message[:1], message[5:])
            self._started = True

    def _read(self, kind: bytes, content: bytes) -> None:
        if kind == b"Q":
            self._tell(content.rstrip(b"\0").decode())
        elif kind == b"P":
            name, text, _ = content.split(b"\0", 2)
            self._texts[name] = text.decode()
        elif kind == b"B":
            _, name, _ = content.split(b"\0", 2)
            self._tell(self._texts[name])


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    look: Callable[[bytes], object] = bytes,
    *,
    gate: Callable[[], Awaitable[object]] | None = None,
    write: Callable[[asyncio.StreamWriter, bytes], Awaitable[object]] | None = None,
    keeps_open: Callable[[], bool] = bool,
) -> None:
    """Carry bytes until either end closes or is cut."""
    try:
        while data := await reader.read(65536):
            look(data)
            if gate is not None:
                await gate()
            await (write or _write)(writer, data)
    except ConnectionError:
        # A cut line is what this is for: both ends notice by themselves.
        return
    finally:
        if not keeps_open():
            writer.close()
