"""Counts what a connection runs, for the figures of its pool and for the work of the task that asked."""

from time import monotonic
from typing import Any

from app.db.binding.query import Query
from app.db.session.figures import TRANSACTION_STEPS, StatementFigures
from app.db.session.resettable import ResettableConnection
from app.db.session.transaction_state import TransactionState
from app.db.session.work import WORK


class CountedConnection(ResettableConnection):
    """A connection that counts. `started_at` is the moment when the last statement was sent, by time.monotonic().

    A run that succeeds is counted by Prepared.finish(), which is on the way of every statement anyway.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.started_at = 0.0
        self.transaction_state = TransactionState()

    def count_failure(self, query: Query, error: BaseException) -> None:
        """Count a run of the statement that began at `started_at` and failed with this error of the driver."""
        self.count(self.figures.of_query(query), error)

    def count(self, figures: StatementFigures, error: BaseException | None = None, seconds: float = 0.0) -> None:
        """Count a run that began at `started_at` and ends now, or that took so many seconds of waiting until now."""
        ended = monotonic()
        seconds = seconds or ended - self.started_at
        figures.took(seconds)
        if error is not None:
            figures.failed(error)
        if (work := WORK.get()) is not None:
            work.ran(figures, ended - seconds, ended, error, self.transaction_state.observed)
        if seconds > figures.slow_after:
            self.figures.on_slow(figures, seconds)

    def count_step(self, step: str, began: float, error: BaseException | None) -> None:
        """Count a step of a transaction, such as COMMIT, that began at this moment. Other steps are part of a run."""
        if step not in TRANSACTION_STEPS:
            return
        seconds, figures = monotonic() - began, self.figures.of_step(step)
        figures.took(seconds)
        if error is not None:
            figures.failed(error)
        if (work := WORK.get()) is not None:
            work.stepped(seconds)
