"""How fast a pool connects: a server that comes back, or is full, meets a few of its clients at a time."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from app.db import Database, DatabaseUnavailable
from app.db.pool.attempts import Pace
from tests.db.pools import get_number, most_within_a_second, pool, until
from tests.network import Network


class Counting(Network):
    """A network that counts the connections it accepts; while `is_away` it closes each at once."""

    is_away = False
    accepted = 0

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.is_away:
            writer.transport.abort()
        else:
            await super()._accept(reader, writer)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The moments at which attempts to connect began. When they reach a server depends on the machine as well."""
    moments: list[float] = []

    def note(pace: Pace) -> None:
        moments.append(monotonic())
        count(pace)

    count = Pace.begun
    monkeypatch.setattr(Pace, "begun", note)
    return moments


async def test_no_more_than_the_rate_are_opened_within_a_second(database_url: str, begun: list[float]) -> None:
    async with Counting(database_url) as network, pool(network.dsn, max_size=12, connect_rate=4) as db:
        together = asyncio.Barrier(12)
        await asyncio.gather(*(hold(db, together) for _ in range(12)))
        assert network.accepted == len(begun) == 12
        assert most_within_a_second(begun) <= 4


async def hold(db: Database, together: asyncio.Barrier) -> None:
    async with db.acquire(timeout=30):
        await together.wait()


async def test_min_size_is_reached_at_the_rate(database_url: str, begun: list[float]) -> None:
    async with Counting(database_url) as network, pool(network.dsn, min_size=6, max_size=6, connect_rate=4) as db:
        await until(lambda: db.statistics().size == 6)
        assert network.accepted == len(begun) == 6
        assert most_within_a_second(begun) <= 4


async def test_a_server_that_is_away_is_asked_no_more_often_for_many_tasks_than_for_one(
    database_url: str, begun: list[float]
) -> None:
    async with Counting(database_url) as network, pool(network.dsn, max_size=3, connect_rate=5) as db:
        network.is_away = True
        network.drop()
        await until(lambda: network.accepted >= 2)

        async def fail() -> None:
            for _ in range(3):
                with pytest.raises(DatabaseUnavailable):
                    await get_number(db, number=1)

        await asyncio.gather(*(fail() for _ in range(50)))
        assert network.accepted <= len(begun)
        assert most_within_a_second(begun) <= 5


def test_failures_leave_the_rate_for_the_moment_when_the_server_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("app.db.pool.attempts.monotonic", lambda: now)
    pace, longest = Pace(10), 0.0
    for _ in range(50):
        longest = max(longest, pace.seconds())
        now += pace.seconds()
        pace.begun()
        pace.failed()

    assert longest == pytest.approx(0.1)


def test_after_a_failure_there_is_one_attempt_and_with_each_success_there_are_twice_as_many() -> None:
    pace = Pace(100)
    assert pace.allows(50)
    pace.failed()
    assert pace.allows(0)
    assert not pace.allows(1)
    for together in (2, 4, 8):
        pace.succeeded()
        assert pace.allows(together - 1)
        assert not pace.allows(together)


async def test_a_rate_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="connect_rate must be at least 1"):
        Database("postgresql://localhost/x", connect_rate=0)
