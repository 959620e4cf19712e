"""Which requests are admitted under overload: those that the service can answer soon, by what it measured.

The measure is that of CoDel (Nichols and Jacobson, "Controlling Queue Delay", 2012): a queue is bad when even the
shortest wait of an interval is above a target, however long the queue is; a burst that drains is none. How many
requests may then be under way is Little's law: the rate of answers, times the time that each takes and may wait.
"""

from time import monotonic

from app.http.refusals import REFUSALS
from app.http.watch import RequestWork

INTERVAL = 0.1  # seconds
# Fewer answers say nothing about the rate; after this many seconds they say enough.
_ENOUGH = 10
_LONGEST_INTERVAL = 1.0
# How long a limit holds that is not confirmed, in seconds.
_STALE = 1.0
_UNLIMITED = float("inf")


class Admission:
    """Counts the requests under way, and limits them while all wait longer than `target` seconds for their turn.

    Time that requests need anyhow is no wait: the target is at least as long as an answer takes without it. At least
    `least` requests are admitted at once. `target` 0 admits all. `rate` is that of answers under overload, a second.
    """

    def __init__(self, target: float, least: int) -> None:
        self.active = 0
        self.limit = _UNLIMITED
        self._target = target or _UNLIMITED
        self._least = least
        self._service = 0.0
        self.rate = 0.0
        self._refused_at = self._limited_at = float("-inf")
        self._begin_interval(monotonic())

    def refuses(self) -> bool:
        """Return whether one more request has to be refused. Counts the refusal."""
        if self.active < self.limit:
            return False
        now = monotonic()
        if now - self._limited_at > _STALE:
            # Either all was well since, or nothing was answered: then it is not the number of requests that stops them.
            self.limit = _UNLIMITED
            return False
        self._refused_at = now
        REFUSALS.add("overload", f"{self.active} requests are under way, as many as can be answered soon")
        return True

    def began(self) -> float:
        """Count a request that begins. Return the moment, which ended() needs, by time.monotonic()."""
        now = monotonic()
        if not self.active:
            # There was no queue; the time without requests says nothing about the rate.
            self._begin_interval(now)
        self.active += 1
        return now

    def ended(self, work: RequestWork, seconds: float) -> None:
        """Count a request that has ended and took so many seconds, if it is one that began here."""
        arrived: float | None = work.scope.get("arrived_at")
        if arrived is None:
            return
        self.active -= 1
        self._answers += 1
        wait = work.began - arrived + work.wait_seconds
        self._shortest_wait = min(wait, self._shortest_wait)
        # An export may take a thousand times as long as most answers, and says nothing about the others.
        sample = min(seconds - work.wait_seconds, 8 * self._service + 0.001)
        self._service += (sample - self._service) * 0.02
        now = work.began + seconds
        if now - self._began >= INTERVAL:
            self._look(now)

    def begin_overload(self, limit: float) -> None:
        """Admit only so many requests at once, until that was not confirmed for a second."""
        self.limit = limit
        self._limited_at = monotonic()

    def _look(self, now: float) -> None:
        """Set the limit by what was measured in the interval that ends."""
        elapsed = now - self._began
        if self._answers < _ENOUGH and elapsed < _LONGEST_INTERVAL:
            return
        target = max(self._target, self._service)
        if self._shortest_wait > target or self._refused_at >= self._began:
            is_first = self.limit == _UNLIMITED
            rate = self._answers / elapsed
            self.rate = rate if is_first else (self.rate + rate) / 2
            self.begin_overload(max(self._least, self.rate * (self._service + target)))
        self._begin_interval(now)

    def _begin_interval(self, now: float) -> None:
        self._began = now
        self._answers = 0
        self._shortest_wait = _UNLIMITED
