"""LISTEN and NOTIFY: a connection of their own, which comes back by itself and says what it may have missed."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

import asyncpg

from app.db.errors import DatabaseUnavailable
from app.db.server_connection import ServerConnection

# How many notifications wait for a slow reader; PostgreSQL would keep them for nobody.
_LONGEST_QUEUE = 10_000
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 5.0


@dataclass(frozen=True, slots=True)
class Notification:
    """What someone sent with NOTIFY, or pg_notify(); `pid` is the process number of their session."""

    channel: str
    payload: str
    pid: int


@dataclass(frozen=True, slots=True)
class Gap:
    """For so many seconds nobody listened, or the reader was too slow: read again what the notifications are about."""

    seconds: float


@asynccontextmanager
async def listen(
    connect: Callable[[], Awaitable[ServerConnection]], channels: Sequence[str], *, keepalive: float
) -> AsyncGenerator[AsyncIterator[Notification | Gap]]:
    """See Database.listen(). DatabaseUnavailable where the first connection cannot be opened; others are waited for."""
    if not channels:
        raise ValueError("name at least one channel to listen on")
    listener = _Listener(connect, channels, keepalive)
    await listener.open()
    task = asyncio.create_task(listener.stay(), name=f"listens on {', '.join(channels)}")
    try:
        yield listener.received()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        listener.close()


class _Listener:
    def __init__(
        self, connect: Callable[[], Awaitable[ServerConnection]], channels: Sequence[str], keepalive: float
    ) -> None:
        self._connect = connect
        self._channels = channels
        self._keepalive = keepalive
        self._queue: asyncio.Queue[Notification | Gap] = asyncio.Queue(_LONGEST_QUEUE)
        self._connection: ServerConnection | None = None
        self._lost = asyncio.Event()
        self._overflowed_at: float | None = None

    async def open(self) -> None:
        self._connection = connection = await self._connect()
        self._lost.clear()
        connection.add_termination_listener(lambda _: self._lost.set())
        try:
            for channel in self._channels:
                await connection.add_listener(channel, self._receive)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            connection.terminate()
            raise DatabaseUnavailable(f"the connection was lost during LISTEN: {error}") from error
        except BaseException:
            connection.terminate()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()

    async def stay(self) -> None:
        """Notice that the connection is lost, and open another, for ever."""
        while True:
            await self._until_lost()
            lost_at = monotonic()
            await self._reopen()
            self._put(Gap(monotonic() - lost_at))

    async def received(self) -> AsyncIterator[Notification | Gap]:
        """What was received, in order; it does not end by itself."""
        while True:
            item = await self._queue.get()
            if self._overflowed_at is not None:
                since, self._overflowed_at = self._overflowed_at, None
                yield Gap(monotonic() - since)
            yield item

    async def _until_lost(self) -> None:
        """A network that swallows everything says nothing: the server has to answer now and then."""
        connection = self._connection
        while connection is not None and not self._lost.is_set():
            try:
                async with asyncio.timeout(self._keepalive):
                    await self._lost.wait()
            except TimeoutError:
                await self._ping(connection)

    async def _ping(self, connection: ServerConnection) -> None:
        try:
            async with asyncio.timeout(self._keepalive):
                await connection.ping()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            connection.terminate()
            self._lost.set()

    async def _reopen(self) -> None:
        delay = _FIRST_DELAY
        while True:
            try:
                await self.open()
            except DatabaseUnavailable:
                await asyncio.sleep(delay * (0.5 + random.random() / 2))  # noqa: S311 - no secret
                delay = min(delay * 2, _LONGEST_DELAY)
            else:
                return

    def _receive(self, _: object, pid: int, channel: str, payload: object) -> None:
        self._put(Notification(channel, str(payload), pid))

    def _put(self, item: Notification | Gap) -> None:
        if not self._queue.full():
            self._queue.put_nowait(item)
        elif self._overflowed_at is None:
            self._overflowed_at = monotonic()
