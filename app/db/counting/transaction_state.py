"""What a session knows of its open transaction."""

from typing import Any

Marker = tuple[BaseException | None, bool]
"""A failure, and whether the outcome was in doubt."""


class TransactionState:
    """The first failure in the transaction, whether its outcome is in doubt, and how many savepoints are open.

    `in_doubt` is true after a statement whose end was not awaited: the transaction must be rolled back. `read_only` is
    true if the caller asked for a transaction that cannot write. `observed` is what Work.transaction_began() returned.
    """

    __slots__ = ("failure", "in_doubt", "observed", "read_only", "savepoints")

    def __init__(self) -> None:
        self.begin()

    def begin(self, *, read_only: bool = False, observed: Any = None) -> None:
        """Forget earlier failures: a transaction begins."""
        self.failure: BaseException | None = None
        self.in_doubt = False
        self.savepoints = 0
        self.read_only = read_only
        self.observed = observed

    def end(self) -> None:
        """Forget the failure: the transaction is over."""
        self.failure = None
        self.read_only = False
        self.observed = None

    def fail(self, error: BaseException) -> None:
        """Record the error, unless another one came before."""
        if self.failure is None:
            self.failure = error

    def doubt(self) -> None:
        """Record that the transaction cannot be committed."""
        self.in_doubt = True

    def enter_savepoint(self) -> None:
        """Count one more savepoint."""
        self.savepoints += 1

    def leave_savepoint(self) -> None:
        """Count one savepoint less."""
        self.savepoints -= 1

    def restore(self, marker: Marker) -> None:
        """Return to the state before a savepoint that was rolled back."""
        self.failure, self.in_doubt = marker
