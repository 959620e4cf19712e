"""Log lines for slow statements, at most one a second for each, and now and then with the plan."""

import asyncio
import logging
from collections import Counter
from time import monotonic

from app.db import WORK, BinderyError, Database, StatementFigures
from app.plans import ExplainError, explain

logger = logging.getLogger("app.slow")

LINE_EVERY = 1.0  # seconds
PLAN_EVERY = 60.0  # seconds
PLAN_TIMEOUT = 2.0  # seconds


class SlowStatements:
    """Told of each slow statement of a Database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._logged_at: dict[str, float] = {}
        self._planned_at: dict[str, float] = {}
        self._others: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, figures: StatementFigures, seconds: float) -> None:
        """Log the statement's name, its time and the request's wait for a connection; and its plan once a minute."""
        name, now = figures.name, monotonic()
        if now - self._logged_at.get(name, float("-inf")) < LINE_EVERY:
            self._others[name] += 1
            return
        self._logged_at[name] = now
        others, work = self._others.pop(name, 0), WORK.get()
        logger.warning(
            "slow statement %s: %.0f ms, after %.0f ms in the queue for a connection%s",
            name, seconds * 1000, work.wait_seconds * 1000 if work else 0, f" ({others} more since)" if others else "",
        )  # fmt: skip
        if now - self._planned_at.get(name, float("-inf")) >= PLAN_EVERY:
            self._planned_at[name] = now
            task = asyncio.create_task(self._tell_plan(figures))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop asking for plans."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tell_plan(self, figures: StatementFigures) -> None:
        if figures.query is None:
            return
        # The plan is asked for by this task, and not by the request that was slow.
        WORK.set(None)
        try:
            plan = await explain(self._database, figures.query, timeout=PLAN_TIMEOUT)
        except (BinderyError, ExplainError) as error:
            logger.warning("the plan of %s is not known: %s", figures.name, error)
        else:
            logger.warning("the plan of %s:\n%s", figures.name, "\n".join(plan.lines))
