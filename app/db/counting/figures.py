"""How often each statement ran, how long it took, what it returned and how it failed: plain counters.

Only the event loop's thread changes them, so counting needs no lock. What reads them at intervals, such as metrics,
computes rates and percentiles.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from time import time

import asyncpg

from app.db.binding.query import Query

DURATION_BUCKETS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds in seconds. A last bucket counts everything longer."""
RAW_SQL = "raw SQL"
"""The name of all raw SQL together: its text may differ every time."""
TRANSACTION_STEPS = frozenset(("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"))


@dataclass(frozen=True, slots=True)
class LastError:
    """The last failure of a statement: when (seconds since 1970), SQLSTATE or class, and the server's message."""

    at: float
    kind: str
    message: str


class StatementFigures:
    """The counters of one statement, or of one step of transactions such as COMMIT.

    `name` is file and statement, `articles.get_article`. `buckets` are the runs by duration, from the bounds of
    DURATION_BUCKETS, failed ones included; `seconds` is their sum. `rows` were returned, or touched by a statement that
    returns none. `errors` counts failures by SQLSTATE, or by the error's class if it has none.
    """

    __slots__ = ("buckets", "errors", "last_error", "name", "query", "rows", "seconds", "slow_after")

    def __init__(self, name: str, query: Query | None = None, slow_after: float = float("inf")) -> None:
        self.name = name
        self.query = query
        self.slow_after = slow_after
        self.seconds = 0.0
        self.rows = 0
        self.buckets = [0] * (len(DURATION_BUCKETS) + 1)
        self.errors: Counter[str] = Counter()
        self.last_error: LastError | None = None

    @property
    def calls(self) -> int:
        """How often it ran, failures included."""
        return sum(self.buckets)

    def took(self, seconds: float) -> None:
        """Count a run of this duration."""
        self.seconds += seconds
        self.buckets[bisect_left(DURATION_BUCKETS, seconds)] += 1

    def failed(self, error: BaseException) -> None:
        """Count a failure. Its message is kept without the server's details, which quote values."""
        kind = error_kind(error)
        self.errors[kind] += 1
        from_server = server_error(error)
        message = from_server.message if from_server and from_server.message else type(error).__name__
        self.last_error = LastError(time(), kind, message)


class Figures:
    """The counters of all statements of a Database, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, StatementFigures] = {}
        self._slow_after = float("inf")
        self.on_slow: Callable[[StatementFigures, float], None] = _ignore

    def watch_slow(self, seconds: float, on_slow: Callable[[StatementFigures, float], None]) -> None:
        """Call `on_slow(figures, duration)` after each named statement that took longer than this."""
        self._slow_after, self.on_slow = seconds, on_slow
        for each in self._by_name.values():
            each.slow_after = seconds if each.query else float("inf")

    def of_query(self, query: Query) -> StatementFigures:
        """Return the counters of a named statement."""
        found = self._by_name.get(query.name)
        if found is None:
            found = self._by_name[query.name] = StatementFigures(query.name, query, self._slow_after)
        found.query = query
        return found

    def of_step(self, name: str) -> StatementFigures:
        """Return the counters of a step such as COMMIT, or of raw SQL."""
        return self._by_name.get(name) or self._by_name.setdefault(name, StatementFigures(name))

    def all(self) -> list[StatementFigures]:
        """Return the counters of everything that ran."""
        return list(self._by_name.values())


def server_error(error: BaseException) -> asyncpg.PostgresError | None:
    """Return the server's error: this one, or the one that it stands for; None if the server raised none."""
    for each in (error, error.__cause__):
        if isinstance(each, asyncpg.PostgresError):
            return each
    return None


def error_kind(error: BaseException) -> str:
    """Return the SQLSTATE of a server's error, and the name of the class for any other."""
    from_server = server_error(error)
    return (from_server.sqlstate if from_server else None) or type(error).__name__


def _ignore(_: StatementFigures, __: float) -> None:
    """Take no notice."""
