"""Counts what a session runs, for the figures of its pool and for the work of the task that asked."""

from time import monotonic

from app.db.binding.query import Query
from app.db.counting.figures import TRANSACTION_STEPS, Figures, StatementFigures
from app.db.counting.transaction_state import TransactionState
from app.db.counting.work import WORK


class Counting:
    """The part of a session that counts what it runs.

    `started_at` is the moment when the last statement was sent, by time.monotonic(). A run that succeeds is counted by
    Prepared.finish(), which is on the way of every statement anyway.
    """

    figures: Figures
    started_at: float
    transaction_state: TransactionState

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
