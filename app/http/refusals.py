"""Refusals under overload: every one is counted, and the log has at most one line a second for each kind."""

import logging
from collections import Counter
from time import monotonic

logger = logging.getLogger("app.http")

EVERY = 1.0  # seconds


class Refusals:
    """Counts by kind, such as "database" or "connections", and the log lines.

    A line tells how many others there were since the line before; log_rest() is called now and then for the last.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._logged_at: dict[str, float] = {}
        self._unlogged: Counter[str] = Counter()
        self._last: dict[str, str] = {}

    def add(self, kind: str, reason: object) -> None:
        """Count a refusal, and log it if no other one of its kind was logged for a second."""
        self.counts[kind] += 1
        now = monotonic()
        if now - self._logged_at.get(kind, float("-inf")) < EVERY:
            self._unlogged[kind] += 1
            self._last[kind] = str(reason)
            return
        self._logged_at[kind] = now
        self._log(str(reason), self._unlogged.pop(kind, 0))

    def log_rest(self) -> None:
        """Log what was counted and not logged, if the last line of its kind is a second old."""
        now = monotonic()
        for kind in [kind for kind in self._unlogged if now - self._logged_at[kind] >= EVERY]:
            self._logged_at[kind] = now
            self._log(self._last[kind], self._unlogged.pop(kind) - 1)

    def _log(self, reason: str, others: int) -> None:
        more = f" (and {others:,} more since the last such line)" if others > 0 else ""
        logger.warning("answered 503%s: %s", more, reason)


REFUSALS = Refusals()
"""Those of this process."""
