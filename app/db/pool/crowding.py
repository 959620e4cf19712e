"""How many sessions work at once while tasks wait: as many as get the most done.

A server with few cores gets less done with many statements at once than with some. While tasks wait, the number of
sessions at work is now a quarter higher, now a quarter lower, and follows what got more leases done in the same time:
stochastic approximation (Kiefer and Wolfowitz, "Stochastic Estimation of the Maximum of a Regression Function", 1952).
The other sessions are kept back. A lease that is long under way, since it waits for a lock, a client or a long
statement, does not count: the other tasks get on.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context
from math import ceil, exp, floor, log
from time import monotonic

from app.db.pool.pooled_session import PooledSession
from app.db.pool.state import PoolState

INTERVAL = 0.1  # seconds
FEWEST = 2
# Fewer leases in an interval say nothing about the rate; after this many seconds they say enough.
_ENOUGH = 40
_LONGEST_INTERVAL = 1.0
_SPREAD = 1.25
# A doubling has to bring 7 % more leases: tasks that wait in the pool cost the server nothing.
_PRICE = 0.1
_STEP = 0.3


class BestNumber:
    """Searches the number from FEWEST to `most` with the highest rate. `now` is the one to be measured next."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._middle = float(most)
        self._go_lower()

    def measured(self, rate: float) -> None:
        """Note the rate with `now`, and change it: between a lower and a higher one, whose middle moves."""
        if self._lower is None:
            self._lower = (self.now, rate)
            self.now = max(self.now, min(ceil(self._middle * _SPREAD), self._most))
            return
        number, lower_rate = self._lower
        if self.now > number:
            gain = 2 * (rate - lower_rate) / max(rate + lower_rate, 1) / log(self.now / number)
            better = self._middle * exp(_STEP * (min(max(gain, -1), 1) - _PRICE))
            self._middle = min(max(better, FEWEST), self._most)
        self._go_lower()

    def _go_lower(self) -> None:
        self.now = max(FEWEST, floor(self._middle / _SPREAD))
        self._lower: tuple[int, float] | None = None


class Crowding:
    """Limits the sessions at work while tasks wait. `test` tests an idle session and lends it to the next task."""

    def __init__(self, state: PoolState, test: Callable[[PooledSession], object]) -> None:
        self.best = BestNumber(state.options.max_size)
        self._state = state
        self._test = test
        self._long = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def keeps_back(self, pooled: PooledSession) -> bool:
        """Return whether a session that was returned while tasks wait is one too many. It is kept back then."""
        if self._timer is None:
            self._begin_interval()
            self._look_later()
        if self._state.in_use() - self._long <= self.best.now:
            return False
        self._state.kept_back.append(pooled)
        return True

    def end(self) -> None:
        """Keep no session back any longer: they are idle now, below those that were used since."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._state.idle[:0] = self._state.kept_back
        self._state.kept_back.clear()

    def _look(self) -> None:
        state, now = self._state, monotonic()
        if not state.queue.waiters:
            self.end()
            return
        elapsed, leases = now - self._began, state.counters.acquires - self._acquires
        if leases >= _ENOUGH or elapsed >= _LONGEST_INTERVAL:
            self.best.measured(leases / elapsed)
            self._begin_interval()
        self._long = sum(pooled.lent_at < now - INTERVAL for pooled in state.lent())
        self._lend(self.best.now + self._long - state.in_use())
        self._look_later()

    def _lend(self, number: int) -> None:
        """Have so many of those that were kept back tested and lent."""
        for _ in range(min(number, len(self._state.kept_back))):
            pooled = self._state.kept_back.pop()
            self._state.idle.insert(0, pooled)
            self._test(pooled)

    def _begin_interval(self) -> None:
        self._began, self._acquires = monotonic(), self._state.counters.acquires

    def _look_later(self) -> None:
        # In a context of its own: it would keep that of the request that it began with.
        self._timer = self._loop.call_later(INTERVAL, self._look, context=Context())
