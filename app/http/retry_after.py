"""How long clients that were refused are asked to wait: the longer, the more of them there are.

A refusal costs a tenth of a short answer. Two thousand clients that come back after two seconds each would take much of
the time in which others could be answered; so many are asked to wait that refusals stay a small part of the work.
"""

import random
from time import monotonic

# So many refusals for each answer are little enough.
SHARE = 0.25
# Of the shortest wait. The longest is three times as long: clients that were refused together come back apart.
SHORTEST, LONGEST = 1.0, 5.0
_PERIOD = 1.0  # seconds


class RetryAfter:
    """The seconds for `Retry-After`: from one to three at first, from five to fifteen at most."""

    def __init__(self) -> None:
        self._least = SHORTEST
        self._refused = 0
        self._began = monotonic()

    def seconds(self, rate: float) -> int:
        """Count one more refusal, while so many requests a second are answered. Return the seconds for it."""
        self._refused += 1
        now = monotonic()
        if now - self._began >= _PERIOD:
            self._adapt(now, rate)
        return int(self._least + random.random() * (2 * self._least + 1))  # noqa: S311 - no secret

    def _adapt(self, now: float, rate: float) -> None:
        """Wait longer or shorter from now on. By the root only, since it shows when they come back and not before."""
        elapsed = now - self._began
        was_quiet = elapsed > 2 * _PERIOD
        share = 0 if was_quiet else self._refused / elapsed / max(rate, 1)
        self._least = min(max(self._least * (share / SHARE) ** 0.5, SHORTEST), LONGEST)
        self._refused, self._began = 0, now
