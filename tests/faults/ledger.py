"""What clients asked for and were told, and whether the database agrees."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import asyncpg


@dataclass
class Ledger:
    """The titles of articles, by what the client that posted each was told, and counters of answers.

    `recovered` has, for each fault, the seconds from the moment when the database was there again to the first
    article that was stored. `outage` is there while no server takes writes, each time another.
    `connects` is how many sessions the service opened at one server within a second, at most.
    """

    acknowledged: set[str] = field(default_factory=set[str])
    refused: set[str] = field(default_factory=set[str])
    unknown: set[str] = field(default_factory=set[str])
    statuses: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])
    hung: int = 0
    longest: float = 0.0
    recovered: list[float] = field(default_factory=list[float])
    outage: object = None
    connects: int = 0

    @contextmanager
    def no_writes(self) -> Generator[None]:
        """During the block no server takes writes: if the service says that it is ready, that is wrong."""
        self.outage = object()
        try:
            yield
        finally:
            self.outage = None

    def requests(self) -> int:
        """How many requests were made."""
        return self.statuses.total()

    async def audit(self, dsn: str) -> "Audit":
        """Compare with the articles that are stored."""
        connection = await asyncpg.connect(dsn)
        try:
            stored = Counter(row["title"] for row in await connection.fetch("select title from articles"))
        finally:
            await connection.close()
        return Audit(
            lost=[title for title in self.acknowledged if not stored[title]],
            doubled=[title for title, times in stored.items() if times > 1],
            refused_but_stored=[title for title in self.refused if stored[title]],
        )


@dataclass(frozen=True, slots=True)
class Audit:
    """What the database and the clients do not agree on."""

    lost: list[str]
    doubled: list[str]
    refused_but_stored: list[str]
