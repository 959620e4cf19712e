"""Who holds which connection.

Idle connections lie on a stack, so that the same few stay warm and the others can be closed. Who finds none that is
fresh queues for the next that is tested, opened or given back. Testing, opening and resetting are tasks of their own:
nobody's cancellation loses a connection, and whichever is ready first serves whoever waits longest.
"""

import asyncio
import logging
from bisect import insort
from collections.abc import Coroutine
from threading import get_ident
from time import monotonic
from typing import Any

from app.db.alarm import TimeLimits
from app.db.errors import NotConnected, PoolTimeout
from app.db.home import Home
from app.db.hosts import READ_ONLY
from app.db.notifications import Listener
from app.db.opener import Opener
from app.db.openings import Openings
from app.db.options import PoolOptions
from app.db.queue import WaitingQueue
from app.db.report import describe_pool
from app.db.server_connection import NEVER, ServerConnection
from app.db.statistics import Counters

_log = logging.getLogger(__name__)

SUSPECT = float("-inf")
"""As the moment when the server last answered on a connection: so long ago that it is tested before it is lent."""

# How long close() waits for connections that are being opened, in seconds: far longer than a server takes.
_ON_THE_WAY = 1.0

# A server that stays read only must not have all its sessions opened anew for each write that it refuses, in seconds.
_BETWEEN_REPLACEMENTS = 1.0


class Lease:
    """The connections of one pool, each lent to one holder at a time."""

    def __init__(self, opener: Opener, options: PoolOptions) -> None:
        self.opener = opener
        self.options = options
        self.counters = Counters()
        self.connections: set[ServerConnection] = set()
        self.idle: list[ServerConnection] = []
        self.queue = WaitingQueue(self._timed_out)
        self.limits = TimeLimits()
        self.home = Home()
        self._loop = self.home.loop
        self.openings = Openings(self, opener)
        self.closing = False
        self.changed = asyncio.Event()
        self.listeners: set[Listener] = set()
        self._read_only_until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._test_after = options.ping_after if options.pre_ping else float("inf")

    def take_fresh(self) -> ServerConnection | None:
        """The connection used last, if it was used just now and needs no test; None where take() has to be asked."""
        if self.idle:
            server = self.idle[-1]
            now = monotonic()
            if now - server.proven_at < self._test_after and not server.is_closed():
                task = asyncio.current_task(self._loop)
                if task is None or get_ident() != self.home.thread:
                    raise self.home.refusal()
                self.idle.pop()
                server.lent_at = now
                server.holder = task
                self.counters.acquires += 1
                return server
        return None

    async def take(self, timeout: float) -> ServerConnection:
        """A connection within `timeout` seconds: the next that turns out alive, is opened or is given back.

        Raises PoolTimeout when none comes in time, when too many wait already, or when every holder waits as well;
        DatabaseUnavailable when there is none and none can be opened; NotConnected when the pool is closed meanwhile.
        """
        self.home.refuse_others()
        if self.closing:
            raise NotConnected("the Database is closed")
        began = monotonic()
        task = asyncio.current_task(self._loop)
        may_send = bool(self.idle) or self.openings.have_room()
        if not may_send:
            self._refuse_hopeless(task)
        waiter = self.queue.join(task, began + timeout, self.openings.attempts + 1)
        try:
            if may_send:
                self._send_for_one()
            server = await waiter.future
        except BaseException:
            if lent := self.queue.leave(waiter):
                self.give(lent)
            raise
        finally:
            self.queue.tasks.discard(task)
            now = monotonic()
            self.counters.waited(now - began)
        server.lent_at = now
        server.holder = task
        self.counters.acquires += 1
        return server

    def give(self, server: ServerConnection) -> None:
        """Take a connection back for whoever waits longest, or onto the stack; reset or closed first if need be."""
        server.holder = server.acquired_at = server.running = None
        try:
            now = monotonic()
            if server.sent_at != NEVER:
                # A task that outlived the block still runs a statement here: the next holder must not meet it.
                server.abandoned = True
                server.give_up()
            if server.dirty or server.is_closed() or now > server.expires or self.closing:
                self._mend(server)
                return
            server.idle_since = server.proven_at = now
            if self.queue.waiters and self.queue.serve(server):
                server.was_idle = False
                return
        except BaseException:
            self.discard(server, "fault")
            raise
        server.was_idle = True
        self.idle.append(server)

    def retire(self) -> None:
        """Replace every connection that is open or on the way, each as soon as nobody uses it."""
        for server in self.connections:
            server.expires, server.expiry = 0.0, "retired"
        self.openings.retire()
        self.changed.set()

    def evict(self, server: ServerConnection, reason: str) -> None:
        """Close a connection at once and count why; whoever waits is sent another one."""
        self.discard(server, reason)
        if self.queue.waiters:
            self._send_for_one()

    def discard(self, server: ServerConnection, reason: str) -> None:
        """Close a connection at once and count why; the keeper replaces it."""
        # The pool forgets it first: whatever goes wrong while it is closed, its place is free.
        if server in self.connections:
            self.connections.remove(server)
            self.counters.evictions[reason] += 1
        if server in self.idle:
            self.idle.remove(server)
        self.changed.set()
        server.terminate()

    def test(self, server: ServerConnection) -> asyncio.Task[None]:
        """Take an idle connection aside until the server answered on it; close it where it does not."""
        testing = self._work_on(server, self._test(server), "dead")
        self.idle.remove(server)
        server.lent_at = monotonic()
        return testing

    def end_listeners(self) -> None:
        """Close the connections that listen, which are not the pool's; their iterators stop."""
        for listener in list(self.listeners):
            listener.end()

    async def close(self, timeout: float) -> None:
        """Lend nothing more, wait up to `timeout` seconds for what is lent, then close everything."""
        self.closing = True
        self.queue.close("the Database was closed while this task waited", NotConnected)
        try:
            async with asyncio.timeout(timeout):
                while len(self.connections) > len(self.idle):
                    self.changed.clear()
                    await self.changed.wait()
                if self._tasks:
                    # Cancelled in the middle of TLS, asyncpg would leave the socket to the garbage collector.
                    await asyncio.wait(self._tasks, timeout=_ON_THE_WAY)
                await asyncio.gather(*(server.close() for server in self.idle), return_exceptions=True)
        except TimeoutError:
            self.counters.evictions["closing"] += len(self.connections) - len(self.idle)
        finally:
            for task in self._tasks:
                task.cancel()
            self.limits.alarm.cancel()
            self.opener.terminate()
            try:
                await asyncio.gather(*self._tasks, return_exceptions=True)
            finally:
                # Once more for what a task was opening, and for asyncpg to end its own tasks.
                self.opener.terminate()
                await asyncio.sleep(0)

    def _send_for_one(self) -> None:
        """For a new waiter: test the idle connection that was used last, or open one."""
        while self.idle and self.idle[-1].is_closed():
            self.discard(self.idle[-1], "dead")
        if self.idle:
            self.test(self.idle[-1])
        else:
            self.openings.begin()

    async def _test(self, server: ServerConnection) -> None:
        try:
            async with asyncio.timeout(self.options.connect_timeout):
                await server.ping()
        except Exception:
            # Whatever it was, the server did not answer.
            self.evict(server, "dead")
            return
        self.counters.pings += 1
        server.proven_at = monotonic()
        if server.is_unfit():
            server.expires, server.expiry = 0.0, "read only"
        if self.closing or server.proven_at > server.expires:
            self._mend(server)
        elif not self.queue.serve(server):
            # Not on top: the ones that were used since then are warmer.
            insort(self.idle, server, key=lambda each: each.idle_since)

    def _work_on(self, server: ServerConnection, work: Coroutine[Any, Any, None], reason: str) -> asyncio.Task[None]:
        """Run `work` on a connection in the background; close it, for this reason, where that does not end well."""

        def ended(task: asyncio.Task[None]) -> None:
            # A task that is cancelled before its first step has not seen its own code.
            error = None if task.cancelled() else task.exception()
            if error is not None:
                _log.error("a connection of %s is closed after a fault", self.opener, exc_info=error)
            if error is not None or task.cancelled():
                self.discard(server, reason)

        task = self.in_background(work)
        task.add_done_callback(ended)
        return task

    def in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it as a task that close() knows of."""
        try:
            task = asyncio.create_task(work)
        except BaseException:
            work.close()
            raise
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _timed_out(self) -> PoolTimeout:
        self.counters.timeouts += 1
        return PoolTimeout(describe_pool(self, "no connection became free in time"))

    def _refuse_hopeless(self, task: asyncio.Task[Any] | None) -> None:
        """PoolTimeout at once for whom waiting cannot help: the queue is full, or every holder waits itself."""
        problem = None
        if len(self.queue.waiters) >= self.options.max_waiting:
            problem = f"{self.options.max_waiting} tasks wait for a connection already, as many as allowed"
        elif not self.openings.pending and self._holders_wait(task):
            problem = "every connection is held by a task that itself waits for one more, so none will become free"
        if problem:
            self.counters.refusals += 1
            raise PoolTimeout(describe_pool(self, problem))

    def _holders_wait(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether every holder waits: those in the queue, and this task, which is about to."""
        for server in self.connections:
            if server.holder is not task and server.holder not in self.queue.tasks:
                return False
        return True

    def _mend(self, server: ServerConnection) -> None:
        if server.lost or server.is_closed():
            self.evict(server, "fatal" if server.lost else "dead")
            self._suspect_idle()
        elif self.closing:
            self.evict(server, "closing")
        elif monotonic() > server.expires:
            if server.expiry == "read only":
                self._replace_read_only()
            self.evict(server, server.expiry)
        elif server.beyond_reset:
            self.evict(server, "reset")
        else:
            server.lent_at = monotonic()
            self._work_on(server, self._reset(server), "reset")

    def _replace_read_only(self) -> None:
        """A session turned out to be read only: replace the others that are, too, but not again and again."""
        now = monotonic()
        if now < self._read_only_until:
            return
        self._read_only_until = now + _BETWEEN_REPLACEMENTS
        for server in self.connections:
            if server.target not in READ_ONLY and server.is_read_only():
                server.expires, server.expiry = 0.0, "read only"
        self._suspect_idle()

    def _suspect_idle(self) -> None:
        """A connection died: test the idle ones, which may have died with it, before they are lent again."""
        for server in self.idle:
            server.proven_at = SUSPECT
        self.changed.set()

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
