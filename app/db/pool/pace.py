"""How fast a pool connects: never more than so many times a second, and after a failure first once, then twice, ..."""

from collections import deque
from time import monotonic

_NEVER = float("-inf")
# Doubling it from one never ends there.
_MANY = 1 << 20


class Pace:
    """Allows attempts to connect: at most `rate` begin within any second.

    After a failure one at a time is allowed, and with each success twice as many, so that a server that comes back
    meets one client of this pool, not all.
    """

    def __init__(self, rate: int) -> None:
        self._begun: deque[float] = deque([_NEVER] * rate, maxlen=rate)
        self._together = _MANY

    def allows(self, pending: int) -> bool:
        """Return whether one more attempt may begin now, beside those that are `pending`."""
        return pending < self._together and monotonic() - self._begun[0] >= 1

    def begun(self) -> None:
        """Count an attempt that begins."""
        self._begun.append(monotonic())

    def succeeded(self) -> None:
        """Allow twice as many attempts at once."""
        self._together = min(2 * self._together, _MANY)

    def failed(self) -> None:
        """Allow one attempt at once."""
        self._together = 1

    def seconds(self) -> float:
        """Return the seconds until the rate allows the next attempt; 0 if it does now."""
        return max(0.0, self._begun[0] + 1 - monotonic())
