"""Work: what one request, job or test does on databases, for measuring it.

It is found through a context variable, so that what a request starts with gather() or a TaskGroup counts as its own. It
is for observing only: no statement runs differently because of it.
"""

import warnings
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Self

from app.db.counting.figures import StatementFigures
from app.db.counting.frames import place_of_caller, shown_place


class RepeatedStatement(UserWarning):
    """One request runs the same statement again and again, where one statement could ask for all rows."""


class Work:
    """`with` measures what the block does on databases, tasks that it starts included.

    `counts` has how often each statement ran, `database_seconds` the time from sending statements to their answers,
    COMMIT and its like included, and `wait_seconds` the time in the queue of the pool. `most_alike` is how often one
    statement may run before there is a RepeatedStatement warning that names `label` and the place; 0 for any number.
    """

    __slots__ = ("_outer", "_token", "counts", "database_seconds", "label", "most_alike", "wait_seconds")

    def __init__(self, label: str = "", most_alike: int = 0) -> None:
        self.label = label
        self.most_alike = most_alike
        self.counts: dict[StatementFigures, int] = {}
        self.database_seconds = 0.0
        self.wait_seconds = 0.0
        self._outer: Work | None = None
        self._token: Token[Work | None] | None = None

    @property
    def statements(self) -> int:
        """How many statements ran."""
        return sum(self.counts.values())

    def __enter__(self) -> Self:
        self._outer = WORK.get()
        self._token = WORK.set(self)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            WORK.reset(self._token)
            self._token = None

    def ran(
        self, figures: StatementFigures, began: float, ended: float, error: BaseException | None, transaction: Any
    ) -> None:
        """Count a statement that ran between these moments of time.monotonic().

        `transaction` is what began() returned for the transaction it ran in, None outside.
        """
        self.database_seconds += ended - began
        counts = self.counts
        counts[figures] = count = counts.get(figures, 0) + 1
        if self._outer is not None:
            self._outer.ran(figures, began, ended, error, transaction)
        if count - 1 == self.most_alike > 0 and figures.query is not None:
            self._warn(figures)

    def stepped(self, seconds: float) -> None:
        """Add the time of a step of a transaction, such as COMMIT."""
        self.database_seconds += seconds
        if self._outer is not None:
            self._outer.stepped(seconds)

    def waited(self, began: float, ended: float) -> None:
        """Add the time in the queue of a pool, between these moments of time.monotonic()."""
        self.wait_seconds += ended - began
        if self._outer is not None:
            self._outer.waited(began, ended)

    def transaction_began(self) -> Any:
        """Return an object for a transaction that begins, or None."""
        return None if self._outer is None else self._outer.transaction_began()

    def transaction_ended(self, transaction: Any, error: BaseException | None) -> None:
        """Note the end of a transaction, with the error that ended it."""
        if self._outer is not None:
            self._outer.transaction_ended(transaction, error)

    def _warn(self, figures: StatementFigures) -> None:
        warnings.warn(
            f"{self.label or 'one block'} has run {figures.name} more than {self.most_alike} times, the last time at"
            f" {shown_place(place_of_caller())}: one statement that takes a list and returns all rows is faster",
            RepeatedStatement,
            stacklevel=2,
        )


WORK: ContextVar[Work | None] = ContextVar("bindery_work", default=None)
"""The work of the task that asks; None outside any."""
