"""After a write was refused because the server is read only: finds out when another server, or this one, takes writes.

Until one does, the sessions stay, since they can read. A connection of its own asks, so that no session of the pool has
to be given up for the answer.
"""

import asyncio
import logging
import random
from contextlib import suppress
from time import monotonic

from app.db.errors import BinderyError
from app.db.pool.background import BackgroundTasks
from app.db.pool.connector import Connector
from app.db.pool.pooled_session import PooledSession
from app.db.pool.state import PoolState

_log = logging.getLogger(__name__)
# Between two questions, in seconds, give or take a fifth: other processes ask the same server.
_INTERVAL = 0.5
_WARN_EVERY = 60.0
# How long a session that refused a write is kept from others until the first answer, in seconds.
_PATIENCE = 1.0


class Switchover:
    """Begins with begin(), when a session refused to write, and ends when all sessions of the pool can write again.

    `server` names the server in the log.
    """

    def __init__(self, state: PoolState, connector: Connector, tasks: BackgroundTasks) -> None:
        self.server = str(connector)
        self._state = state
        self._connector = connector
        self._tasks = tasks
        self._under_way = False
        self._first_answer = asyncio.Event()
        self._first_answer.set()
        self._writable_at = float("-inf")
        self._warned_at = float("-inf")

    def begin(self) -> bool:
        """Ask in the background until a server takes writes; then have the sessions that are read only replaced.

        Return False if that is under way already.
        """
        if self._under_way or self._state.closing:
            return False
        asking = self._tasks.start(self._ask())
        self._under_way = True
        self._first_answer.clear()
        # Before their next lease they wait for the first answer.
        self._state.suspect_idle()
        asking.add_done_callback(self._ended)
        return True

    async def first_answer(self) -> None:
        """Wait for the first answer since begin(), if it did not come yet, for a second at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._first_answer.wait()

    def is_misplaced(self, pooled: PooledSession) -> bool:
        """Return whether this session takes no writes although since it was opened a server was found that does."""
        return pooled.opened_at < self._writable_at and pooled.session.is_read_only_by_accident()

    async def _ask(self) -> None:
        self._connector.prefer_writable()
        while self._any_is_read_only():
            is_writable = await self._is_writable()
            if is_writable:
                self._replace()
            self._first_answer.set()
            if is_writable:
                return
            await asyncio.sleep(_INTERVAL * random.uniform(0.8, 1.2))  # noqa: S311 - no secret

    async def _is_writable(self) -> bool:
        try:
            session = await self._connector.open_alone()
        except BinderyError as error:
            self._warn(str(error))
            return False
        try:
            if session.is_read_only():
                self._warn("it takes no writes")
                return False
            return True
        finally:
            with suppress(TimeoutError, OSError):
                # It is closed in either case.
                await session.close(timeout=1)

    def _replace(self) -> None:
        """Have the sessions that are read only closed, each as soon as it is not in use."""
        self._writable_at = monotonic()
        for pooled in self._state.sessions:
            if self.is_misplaced(pooled):
                pooled.expire("read only")
        # The others may not know yet: their server tells them with its next answer.
        self._state.suspect_idle()

    def _any_is_read_only(self) -> bool:
        return any(pooled.session.is_read_only_by_accident() for pooled in self._state.sessions)

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._under_way = False
        self._first_answer.set()

    def _warn(self, problem: str) -> None:
        now = monotonic()
        if now - self._warned_at >= _WARN_EVERY:
            self._warned_at = now
            _log.warning("writes are refused, and no other server of %s was found: %s", self.server, problem)
