"""What the pool knows of a session, apart from what the session knows of itself."""

import asyncio
from time import monotonic
from typing import Any

from app.db.session.session import Session

SUSPECT = float("-inf")
"""A value of `proven_at`: so long ago that the session is tested before its next lease."""


class PooledSession:
    """A session with its holder, its age and when it was last proven alive.

    `holder` is the task that it is lent to, `place` the file and line of that task's request, `lent_at` when it was
    lent, taken aside for a test or reset, or opened. `opened_at` is when it was opened, `idle_since` when it was
    returned and `proven_at` when its server last answered. `was_idle` says whether it was idle before this lease. After
    the moment `expires` it is closed for the reason `expiry`. All moments are those of time.monotonic().
    """

    __slots__ = (
        "expires", "expiry", "holder", "idle_since", "lent_at", "opened_at", "place", "proven_at", "session",
        "was_idle",
    )  # fmt: skip

    def __init__(self, session: Session, max_lifetime: float) -> None:
        self.session = session
        self.holder: asyncio.Task[Any] | None = None
        self.place: tuple[str, int] | None = None
        self.lent_at = 0.0
        self.idle_since = 0.0
        self.proven_at = 0.0
        self.was_idle = False
        self.opened_at = monotonic()
        self.expires = self.opened_at + max_lifetime
        self.expiry = "lifetime"

    def expire(self, reason: str) -> None:
        """Have the session closed as soon as it is not in use, for this reason."""
        self.expires, self.expiry = 0.0, reason

    def suspect(self) -> None:
        """Have the session tested before its next lease."""
        self.proven_at = SUSPECT

    def died_in_use(self) -> None:
        """Record that it died during this lease, not before it, so that its statement must not run again."""
        self.was_idle = False

    def take_aside(self) -> None:
        """Record that it is being tested or reset from now on."""
        self.lent_at = monotonic()

    def prove(self) -> None:
        """Record that its server has answered now."""
        self.proven_at = monotonic()
