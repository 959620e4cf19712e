"""Who holds which connection and who waits: first come, first served.

Idle connections lie on a stack, so that the same few stay warm and the others can be closed. Who finds none queues for
the next that is given back or opened. Opening and resetting are tasks of their own: nobody's cancellation loses a
connection, and whichever is ready first serves whoever waits longest.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from time import monotonic
from typing import Any

import asyncpg

from app.db.errors import DatabaseUnavailable, NotConnected, PoolTimeout
from app.db.opener import Opener
from app.db.options import PoolOptions
from app.db.report import describe_pool
from app.db.server_connection import ServerConnection
from app.db.statistics import Counters

SUSPECT = float("-inf")
"""As the moment since which a connection is idle: so long ago that it is tested whatever the settings are."""


@dataclass(eq=False, slots=True)
class Waiter:
    """A task in the queue for a connection; `attempt` is the first to open one that began after it came."""

    future: asyncio.Future[ServerConnection]
    deadline: float
    attempt: int
    task: asyncio.Task[Any] | None


class Lease:
    """The connections of one pool, each lent to one holder at a time."""

    def __init__(self, opener: Opener, options: PoolOptions) -> None:
        self.opener = opener
        self.options = options
        self.counters = Counters()
        self.connections: set[ServerConnection] = set()
        self.idle: list[ServerConnection] = []
        self.waiters: deque[Waiter] = deque()
        self.waiting_tasks: set[asyncio.Task[Any] | None] = set()
        self.opening = 0
        self.attempts = 0
        self.last_error: Exception | None = None
        self.closing = False
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._test_after = options.ping_after if options.pre_ping else float("inf")

    def take_fresh(self) -> ServerConnection | None:
        """The connection used last, if it was used just now and needs no test; None where take() has to be asked."""
        if self.idle:
            server = self.idle[-1]
            now = monotonic()
            if now - server.idle_since < self._test_after and not server.is_closed():
                self.idle.pop()
                server.lent_at = now
                self.counters.acquires += 1
                return server
        return None

    async def take(self, timeout: float) -> ServerConnection:
        """A connection within `timeout` seconds: a living idle one, or the next that is opened or given back.

        Raises PoolTimeout when none comes in time, when too many wait already, or when every holder waits as well;
        DatabaseUnavailable when there is none and none can be opened; NotConnected when the pool is closed meanwhile.
        """
        began = monotonic()
        deadline = began + timeout
        server = await self._living(deadline) if self.idle else None
        if server is None:
            waiter = Waiter(self._loop.create_future(), deadline, self.attempts + 1, asyncio.current_task())
            self._enter_queue(waiter)
            try:
                server = await waiter.future
            except BaseException:
                self._leave_queue(waiter)
                raise
            finally:
                self.waiting_tasks.discard(waiter.task)
                self.counters.waited(monotonic() - began)
        server.lent_at = monotonic()
        self.counters.acquires += 1
        return server

    def give(self, server: ServerConnection) -> None:
        """Take a connection back for whoever waits longest, or onto the stack; reset or closed first if need be."""
        server.holder = server.acquired_at = server.running = None
        now = monotonic()
        if server.dirty or server.is_closed() or now > server.expires or self.closing:
            self._mend(server)
            return
        server.idle_since = now
        self.hand_on(server)

    def hand_on(self, server: ServerConnection) -> None:
        """Lend a connection that is ready to the first in the queue, or keep it idle."""
        while self.waiters:
            future = self.waiters.popleft().future
            if not future.done():
                server.was_idle = False
                future.set_result(server)
                return
        server.was_idle = True
        self.idle.append(server)

    def open_one(self) -> None:
        """Begin to open a connection, unless as many as allowed are open or on the way.

        While the server cannot be reached one attempt at a time is enough.
        """
        busy = self.last_error is not None and self.opening
        if not busy and not self.closing and len(self.connections) + self.opening < self.options.max_size:
            self.opening += 1
            self.attempts += 1
            self.in_background(self._open(self.attempts))

    def evict(self, server: ServerConnection, reason: str) -> None:
        """Close a connection at once and count why; whoever waits gets another one opened."""
        server.terminate()
        if server in self.connections:
            self.connections.remove(server)
            self.counters.evictions[reason] += 1
        if server in self.idle:
            self.idle.remove(server)
        if self.waiters:
            self.open_one()
        self.changed.set()

    def suspect_idle(self) -> None:
        """A connection died: test the idle ones, which may have died with it, before they are lent again."""
        for server in self.idle:
            server.idle_since = SUSPECT
        self.changed.set()

    async def alive(self, server: ServerConnection, timeout: float) -> bool:
        """Whether the server answers within so many seconds on a connection that nobody uses; else it is closed."""
        try:
            async with asyncio.timeout(min(timeout, self.options.connect_timeout)):
                await server.ping()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            self.evict(server, "dead")
            return False
        except BaseException:
            self.evict(server, "untested")
            raise
        self.counters.pings += 1
        return True

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it as a task that close() knows of."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, timeout: float) -> None:
        """Lend nothing more, wait up to `timeout` seconds for what is lent, then close everything."""
        self.closing = True
        for waiter in self.waiters:
            if not waiter.future.done():
                waiter.future.set_exception(NotConnected("the Database was closed while this task waited"))
        try:
            async with asyncio.timeout(timeout):
                while len(self.connections) > len(self.idle):
                    self.changed.clear()
                    await self.changed.wait()
                await asyncio.gather(*(server.close() for server in self.idle))
        except TimeoutError:
            self.counters.evictions["closing"] += len(self.connections) - len(self.idle)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.opener.terminate()

    async def _living(self, deadline: float) -> ServerConnection | None:
        """An idle connection that is alive, the one used last first."""
        while self.idle:
            server = self.idle.pop()
            now = monotonic()
            if server.is_closed():
                self.evict(server, "dead")
            elif now - server.idle_since < self._test_after or await self.alive(server, deadline - now):
                return server
        return None

    def _enter_queue(self, waiter: Waiter) -> None:
        if self.closing:
            raise NotConnected("the Database is closed")
        if len(self.connections) < self.options.max_size:
            self.open_one()
        self.waiting_tasks.add(waiter.task)
        try:
            self._refuse_hopeless()
        except PoolTimeout:
            self.waiting_tasks.discard(waiter.task)
            raise
        self.waiters.append(waiter)
        if self._timer is None or waiter.deadline < self._timer.when():
            self._set_timer(waiter.deadline)

    def _leave_queue(self, waiter: Waiter) -> None:
        """Whoever does not wait any more must not be lent a connection, nor keep one that was lent this moment."""
        if waiter in self.waiters:
            self.waiters.remove(waiter)
        elif waiter.future.done() and not waiter.future.cancelled() and not waiter.future.exception():
            self.give(waiter.future.result())

    def _set_timer(self, deadline: float) -> None:
        """One timer for the whole queue: a timer for each waiter would cost as much as the rest of waiting."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._time_out)

    def _time_out(self) -> None:
        self._timer = None
        now = monotonic()
        for waiter in [waiter for waiter in self.waiters if waiter.deadline <= now]:
            self.waiters.remove(waiter)
            if not waiter.future.done():
                self.counters.timeouts += 1
                waiter.future.set_exception(PoolTimeout(describe_pool(self, "no connection became free in time")))
        if self.waiters:
            self._set_timer(min(waiter.deadline for waiter in self.waiters))

    def _refuse_hopeless(self) -> None:
        """PoolTimeout at once for whom waiting cannot help: the queue is full, or every holder waits itself."""
        problem = None
        if len(self.waiters) >= self.options.max_waiting:
            problem = f"{self.options.max_waiting} tasks wait for a connection already, as many as allowed"
        elif not self.opening and all(server.holder in self.waiting_tasks for server in self.connections):
            problem = "every connection is held by a task that itself waits for one more, so none will become free"
        if problem:
            self.counters.refusals += 1
            raise PoolTimeout(describe_pool(self, problem))

    def _mend(self, server: ServerConnection) -> None:
        if server.is_closed():
            self.evict(server, "dead")
        elif self.closing:
            self.evict(server, "closing")
        elif monotonic() > server.expires:
            self.evict(server, server.expiry)
        else:
            self.in_background(self._reset(server))

    async def _reset(self, server: ServerConnection) -> None:
        """Make the session as it was when it was opened, or close it where that cannot be done."""
        try:
            async with asyncio.timeout(self.options.connect_timeout):
                await server.restore()
        except Exception:
            # Whatever it was, a session in an unknown state must not be lent.
            self.evict(server, "reset")
            return
        self.counters.resets += 1
        self.give(server)

    async def open_now(self) -> None:
        """Open one more connection and lend it to whoever waits, or keep it idle; DatabaseUnavailable."""
        self.opening += 1
        await self._connect()

    async def _connect(self) -> None:
        try:
            server = await self.opener.open()
        except DatabaseUnavailable as error:
            self.last_error = error
            self.counters.connect_failures += 1
            raise
        finally:
            self.opening -= 1
        self.last_error = None
        self.counters.connects += 1
        self.connections.add(server)
        server.add_termination_listener(lambda _: self.changed.set())
        self.give(server)

    async def _open(self, attempt: int) -> None:
        try:
            await self._connect()
        except DatabaseUnavailable as error:
            self._fail_waiters(attempt, error)
            self.changed.set()
        for _ in range(len(self.waiters) - self.opening):
            self.open_one()

    def _fail_waiters(self, attempt: int, error: DatabaseUnavailable) -> None:
        """Without any connection nobody has anything to wait for, but who came after the attempt began."""
        while self.waiters and not self.connections and self.waiters[0].attempt <= attempt:
            future = self.waiters.popleft().future
            if not future.done():
                future.set_exception(error)
