"""Optional: LISTEN, on a connection of its own that reconnects by itself and reports what it may have missed."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

import asyncpg

from app.db.errors import DatabaseUnavailable, NotConnected
from app.db.session.session import Session

# How many notifications are kept for a slow reader.
_LONGEST_QUEUE = 10_000
# PostgreSQL's NAMEDATALEN without the byte that ends a name.
_LONGEST_NAME = 63
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 5.0


@dataclass(frozen=True, slots=True)
class Notification:
    """A message sent with NOTIFY or pg_notify(). `pid` is the process number of the sender's session."""

    channel: str
    payload: str
    pid: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Notifications may have been lost for `seconds`; read the affected state again."""

    seconds: float


@asynccontextmanager
async def listen(
    connect: Callable[[], Awaitable[Session]],
    channels: Sequence[str],
    *,
    keepalive: float,
    listeners: "set[Listener]",
) -> AsyncGenerator[AsyncIterator[Notification | Gap]]:
    """Listen for the block; see Database.listen().

    Raises DatabaseUnavailable when the first connection cannot be opened. Later ones are retried.
    """
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
    """Raise ValueError for a name that PostgreSQL would refuse or silently shorten."""
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
    """A connection that listens, and the notifications it has received."""

    def __init__(self, connect: Callable[[], Awaitable[Session]], channels: Sequence[str], keepalive: float) -> None:
        self._connect = connect
        self._channels = channels
        self._keepalive = keepalive
        self._queue: asyncio.Queue[Notification | Gap | None] = asyncio.Queue()
        self._connection: Session | None = None
        self._lost = asyncio.Event()
        self._overflowed_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    async def open(self) -> None:
        """Connect and listen. Raises DatabaseUnavailable when that fails, NotConnected when it was ended meanwhile."""
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
        """Stop listening. The iterator ends after the notifications received so far."""
        self._ended = True
        self._queue.put_nowait(None)
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.terminate()

    async def close(self) -> None:
        """Stop listening, and wait until the background task has ended."""
        self.end()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def stay(self) -> None:
        """Open another connection whenever one is lost, until cancelled."""
        while True:
            await self._until_lost()
            lost_at = monotonic()
            await self._reopen()
            self._put(Gap(monotonic() - lost_at))

    async def received(self) -> AsyncIterator[Notification | Gap]:
        """Yield the notifications in order, until the listener ends."""
        while (item := await self._queue.get()) is not None:
            if self._overflowed_at is not None:
                since, self._overflowed_at = self._overflowed_at, None
                yield Gap(monotonic() - since)
            yield item
        # Other readers of the same iterator end as well.
        self._queue.put_nowait(None)

    async def _until_lost(self) -> None:
        """Wait until the connection is lost. A dead network reports nothing, so the server is pinged at intervals."""
        connection = self._connection
        while connection is not None and not self._lost.is_set():
            try:
                async with asyncio.timeout(self._keepalive):
                    await self._lost.wait()
            except TimeoutError:
                await self._ping(connection)

    async def _ping(self, connection: Session) -> None:
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
