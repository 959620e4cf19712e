"""Optional: which statements a block runs, for tests.

    with statements("articles.list_articles"):
        await client.get("/api/articles")

A page that asks once for each of its rows fails such a test, whatever the number of rows in it.
"""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from app.db.counting.figures import StatementFigures
from app.db.counting.work import Work


class _Recorded(Work):
    """Work that keeps the names of its statements, in the order in which they ended."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def ran(
        self, figures: StatementFigures, began: float, ended: float, error: BaseException | None, transaction: Any
    ) -> None:
        self.names.append(figures.name)
        super().ran(figures, began, ended, error, transaction)


@contextmanager
def statements(*expected: str) -> Generator[None]:
    """Assert that the block runs these statements, each as often as it is named, in any order.

    A name is file and statement, `articles.get_article`, or "raw SQL". What the block starts with gather() counts.
    Raises AssertionError, which lists what ran.
    """
    with _Recorded() as recorded:
        yield
    if Counter(recorded.names) != Counter(expected):
        ran = ", ".join(recorded.names) or "none"
        raise AssertionError(f"these statements ran: {ran}; expected: {', '.join(expected) or 'none'}")
