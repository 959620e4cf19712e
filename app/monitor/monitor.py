"""The monitor of a process: it takes samples once a second, and answers what the page, /metrics and `top` ask."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from time import monotonic

from app.board import Board
from app.db import Database, Query
from app.http.watch import Watch
from app.monitor.history import History
from app.monitor.process import Process
from app.monitor.server import Server
from app.monitor.snapshot import Snapshots
from app.monitor.view import View, view_of
from app.plans import Plan, explain

logger = logging.getLogger("app.monitor")

EVERY = 1.0  # seconds
PLAN_TIMEOUT = 5.0  # seconds


class Monitor:
    """Knows the figures of all workers and of the server.

    `own` is a Database for the monitor alone, so that it answers when the service's pool is exhausted. `queries` are
    the bound queries of the service by name. `board` is None for a service of one process.
    """

    def __init__(
        self, database: Database, own: Database, watch: Watch, queries: Mapping[str, Query], board: Board | None
    ) -> None:
        self.queries = queries
        self.stopping = False
        self.process = Process()
        self.snapshots = Snapshots(database, watch, self.process, board)
        self.server = Server(own)
        self._own = own
        self._history = History()
        self._view: View | None = None
        self._viewed_at = float("-inf")
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Take samples for the block."""
        with self.process.measuring():
            sampling = asyncio.create_task(self._sample(), name="samples of the monitor")
            try:
                yield
            finally:
                sampling.cancel()
                await asyncio.gather(sampling, return_exceptions=True)
                await self.server.close()

    async def view(self) -> View:
        """Return what is to be seen now. All readers together compute it at most about once a second."""
        async with self._lock:
            if self._view is None or monotonic() - self._viewed_at >= EVERY * 0.9:
                server = await self.server.state(detailed=True)
                self._view = view_of(self.snapshots.all(), server, list(self._history.samples))
                self._viewed_at = monotonic()
            return self._view

    async def plan(self, query: Query) -> Plan:
        """Return the generic plan of a statement. Raises the errors of app.plans.explain()."""
        await self.server.state()
        return await explain(self._own, query, timeout=PLAN_TIMEOUT)

    async def _sample(self) -> None:
        while True:
            try:
                self.snapshots.publish()
                self._history.add(self.snapshots.all())
            except Exception:
                # One sample is missing; the next may succeed.
                logger.exception("the monitor could not take a sample")
            await asyncio.sleep(EVERY)
