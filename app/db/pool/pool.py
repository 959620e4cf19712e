"""Who has which session: lends idle ones, and queues the tasks that find none.

A task that finds no fresh idle session waits for the next one to be tested, opened or returned. Testing, opening and
resetting run in tasks of their own, so that cancelling a caller loses no session, and the first session that is ready
goes to the task that has waited longest.
"""

import asyncio
from threading import get_ident
from time import monotonic
from typing import Any

from app.db.counting.work import WORK
from app.db.errors import NotConnected, PoolTimeout
from app.db.pool.attempts import ConnectAttempts
from app.db.pool.background import BackgroundTasks
from app.db.pool.connector import Connector
from app.db.pool.crowding import Crowding
from app.db.pool.leases import describe_pool
from app.db.pool.options import PoolOptions
from app.db.pool.pooled_session import PooledSession
from app.db.pool.repair import Repair
from app.db.pool.state import PoolState
from app.db.pool.statistics import PoolStatistics
from app.db.pool.switchover import Switchover
from app.db.pool.timer import TimeLimits
from app.db.session.affinity import Affinity
from app.db.session.driver import NEVER

# How long close() waits for sessions that are being opened, in seconds: far longer than a server takes.
_OPENING = 1.0


class Pool:
    """The sessions of one database, each lent to one holder at a time."""

    def __init__(self, connector: Connector, options: PoolOptions) -> None:
        self.connector = connector
        self.options = options
        self.affinity = Affinity()
        self.limits = TimeLimits()
        self.state = PoolState(options, self._timed_out)
        self.tasks = BackgroundTasks()
        self.connecting = ConnectAttempts(self.state, connector, self.affinity, self.tasks, self.give)
        self.switchover = Switchover(self.state, connector, self.tasks)
        self.repair = Repair(self.state, self.connecting, self.tasks, self.give, self.switchover)
        self.crowding = Crowding(self.state, self.repair.test)
        self.counters = self.state.counters
        self._queue = self.state.queue
        self._idle = self.state.idle
        self._loop = self.affinity.loop
        self._test_after = options.ping_after if options.pre_ping else float("inf")

    def take_fresh(self) -> PooledSession | None:
        """Return the session used last if it needs no test. Otherwise return None: call take()."""
        if self._idle:
            pooled = self._idle[-1]
            now = monotonic()
            if now - pooled.proven_at < self._test_after and not pooled.session.is_closed():
                task = asyncio.current_task(self._loop)
                if task is None or get_ident() != self.affinity.thread:
                    raise self.affinity.refusal()
                self._idle.pop()
                pooled.lent_at = now
                pooled.holder = task
                self.counters.acquires += 1
                return pooled
        return None

    async def take(self, timeout: float) -> PooledSession:
        """Return a session within `timeout` seconds: the next one to be tested, opened or returned.

        Raises PoolTimeout when none comes in time, when too many tasks wait already, or when every holder waits itself;
        DatabaseUnavailable when there is none and none can be opened; NotConnected when the pool is closed.
        """
        self.affinity.refuse_others()
        if self.state.closing:
            raise NotConnected("the Database is closed")
        began = monotonic()
        task = asyncio.current_task(self._loop)
        can_find_one = bool(self._idle) or self.connecting.have_room()
        if not can_find_one:
            self._refuse_hopeless(task, timeout)
        waiter = self._queue.join(task, began + timeout, self.connecting.started + 1)
        try:
            if can_find_one:
                self.repair.find_one()
            pooled = await waiter.future
        except BaseException:
            if lent := self._queue.leave(waiter):
                self.give(lent)
            raise
        finally:
            self._queue.tasks.discard(task)
            now = monotonic()
            self.counters.waited(now - began)
            if (work := WORK.get()) is not None:
                work.waited(began, now)
        pooled.lent_at = now
        pooled.holder = task
        self.counters.acquires += 1
        return pooled

    def give(self, pooled: PooledSession) -> None:
        """Return a session, for the longest waiter or to be idle. It is reset or closed first if necessary."""
        session = pooled.session
        pooled.holder = pooled.place = None
        try:
            now = monotonic()
            if session.sent_at != NEVER:
                # A task that outlived the block still runs a statement here, which the next holder must not meet.
                session.abandon()
            if session.dirty or session.is_closed() or now > pooled.expires or self.state.closing:
                self.repair.repair(pooled)
                return
            pooled.idle_since = pooled.proven_at = now
            if self._queue.waiters and (self.crowding.keeps_back(pooled) or self._queue.serve(pooled)):
                pooled.was_idle = False
                return
        except BaseException:
            self.state.discard(pooled, "fault")
            raise
        pooled.was_idle = True
        self._idle.append(pooled)

    def retire(self) -> None:
        """Replace every session that is open or being opened, each as soon as it is not in use."""
        for pooled in self.state.sessions:
            pooled.expire("retired")
        self.connecting.retire()
        self.state.changed.set()

    def statistics(self) -> PoolStatistics:
        """Return the sizes of the pool now, and its counters."""
        error = self.connecting.last_error
        return self.state.statistics(opening=self.connecting.pending, connect_error=str(error or ""))

    async def close(self, timeout: float) -> None:
        """Lend no more sessions, wait up to `timeout` seconds for those in use, then close all."""
        state = self.state
        state.closing = True
        self.crowding.end()
        state.queue.close("the Database was closed while this task waited", NotConnected)
        try:
            async with asyncio.timeout(timeout):
                while state.in_use():
                    state.changed.clear()
                    await state.changed.wait()
                # Cancelled during a TLS handshake, asyncpg would leave the socket to the garbage collector.
                await self.tasks.wait(_OPENING)
                await asyncio.gather(*(pooled.session.close() for pooled in state.idle), return_exceptions=True)
        except TimeoutError:
            state.counters.evictions["closing"] += state.in_use()
        finally:
            await self._terminate()

    async def _terminate(self) -> None:
        self.tasks.cancel()
        self.limits.timer.cancel()
        self.connector.terminate()
        try:
            await self.tasks.join()
        finally:
            # Again, for sessions that a task was opening, and so that asyncpg can end its own tasks.
            self.connector.terminate()
            await asyncio.sleep(0)

    def _timed_out(self) -> PoolTimeout:
        self.counters.timeouts += 1
        return PoolTimeout(self._described("no connection became free in time"))

    def _refuse_hopeless(self, task: asyncio.Task[Any] | None, timeout: float) -> None:
        """Raise PoolTimeout at once if waiting cannot help: the queue is too long, or every holder waits itself."""
        problem = None
        if len(self._queue.waiters) >= self.options.max_waiting:
            problem = f"{self.options.max_waiting} tasks wait for a connection already, as many as allowed"
        elif (expected := self._queue.expected_wait()) > timeout:
            problem = f"the tasks that wait already will take about {expected:.1f} s, and this one waits {timeout:g} s"
        elif not self.connecting.pending and self._all_holders_wait(task):
            problem = "every connection is held by a task that itself waits for one more, so none will become free"
        if problem:
            self.counters.refusals += 1
            raise PoolTimeout(self._described(problem))

    def _all_holders_wait(self, task: asyncio.Task[Any] | None) -> bool:
        """Return whether every holder waits: in the queue, or as this task, which is about to."""
        for pooled in self.state.sessions:
            if pooled.holder is not task and pooled.holder not in self._queue.tasks:
                return False
        return True

    def _described(self, problem: str) -> str:
        return describe_pool(self.state, problem, self.connecting.last_error)
