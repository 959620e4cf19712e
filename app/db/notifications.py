"""LISTEN and NOTIFY: a connection of their own, which comes back by itself and says what it may have missed."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

import asyncpg

from app.db.errors import DatabaseUnavailable, NotConnected
from app.db.server_connection import ServerConnection

# How many notifications wait for a slow reader; PostgreSQL would keep them for nobody.
_LONGEST_QUEUE = 10_000
# PostgreSQL's NAMEDATALEN, less the byte that ends a name.
_LONGEST_NAME = 63
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
    connect: Callable[[], Awaitable[ServerConnection]],
    channels: Sequence[str],
    *,
    keepalive: float,
    listeners: "set[Listener]",
) -> AsyncGenerator[AsyncIterator[Notification | Gap]]:
    """See Database.listen(). DatabaseUnavailable where the first connection cannot be opened; others are waited for."""
    _check(channels)
    listener = Listener(connect, channels, keepalive)
    listeners.add(listener)
    try:
        await listener.open()
        listener.begin()
        yield listener.received()
    finally:
        listeners.discard(listener)
        await listener.close()


def _check(channels: Sequence[str]) -> None:
    """ValueError for a name that PostgreSQL would refuse, or silently listen on as another one."""
    if not channels:
        raise ValueError("name at least one channel to listen on")
    for channel in channels:
        length = len(channel.encode(errors="surrogatepass"))
        if not 1 <= length <= _LONGEST_NAME or "\0" in channel:
            raise ValueError(
                f"the channel {channel!r} has {length} bytes in UTF-8: PostgreSQL's names have 1 to {_LONGEST_NAME},"
                " without NUL; it cuts off the rest, and nothing would be received"
            )


class Listener:
    """One connection that listens, and what it received."""

    def __init__(
        self, connect: Callable[[], Awaitable[ServerConnection]], channels: Sequence[str], keepalive: float
    ) -> None:
        self._connect = connect
        self._channels = channels
        self._keepalive = keepalive
        self._queue: asyncio.Queue[Notification | Gap | None] = asyncio.Queue()
        self._connection: ServerConnection | None = None
        self._lost = asyncio.Event()
        self._overflowed_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    async def open(self) -> None:
        """Connect and listen; DatabaseUnavailable where that fails, NotConnected where it was ended meanwhile."""
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

        if self._ended:
            connection.terminate()
            raise NotConnected("the Database was closed while this task began to listen")

    def begin(self) -> None:
        """Keep listening in the background."""
        self._task = asyncio.create_task(self.stay(), name=f"listens on {', '.join(self._channels)}")

    def end(self) -> None:
        """Listen no more; the iterator stops after what was received so far."""
        self._ended = True
        self._queue.put_nowait(None)
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.terminate()

    async def close(self) -> None:
        """Listen no more, and wait until the background task has ended."""
        self.end()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def stay(self) -> None:
        """Notice that the connection is lost, and open another, for ever."""
        while True:
            await self._until_lost()
            lost_at = monotonic()
            await self._reopen()
            self._put(Gap(monotonic() - lost_at))

    async def received(self) -> AsyncIterator[Notification | Gap]:
        """What was received, in order, until it is closed."""
        while (item := await self._queue.get()) is not None:
            if self._overflowed_at is not None:
                since, self._overflowed_at = self._overflowed_at, None
                yield Gap(monotonic() - since)
            yield item
        # Whoever else waits for more, or asks again, is told as well.
        self._queue.put_nowait(None)

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
        if self._queue.qsize() < _LONGEST_QUEUE:
            self._queue.put_nowait(item)
        elif self._overflowed_at is None:
            self._overflowed_at = monotonic()
