"""A round of some kinds of faults; `make faults` makes more rounds of all."""

from __future__ import annotations

import asyncio

import pytest

from tests.db.pools import until
from tests.faults.__main__ import complaints, run_kind
from tests.faults.kinds import KINDS
from tests.faults.ledger import Audit, Ledger
from tests.faults.readiness import Readiness

QUICK = ("server killed", "cut at COMMIT", "switchover")


@pytest.mark.parametrize("kind", QUICK)
def test_nothing_is_lost_doubled_hung_or_wrong(kind: str) -> None:
    ledger, audit = asyncio.run(run_kind(kind, rounds=1, seed=1))

    assert complaints(ledger, audit) == []
    assert ledger.acknowledged


def test_what_is_wrong_is_told() -> None:
    ledger = Ledger(acknowledged={"a"}, refused={"b"}, hung=2, wrong=["GET was answered 500"])

    assert complaints(ledger, Audit(lost=["a"], doubled=["c"], refused_but_stored=["b"])) == [
        "acknowledged and lost: a",
        "stored twice: c",
        "refused and stored: b",
        "GET was answered 500",
        "2 requests without an answer",
    ]


async def answer_ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def test_a_service_that_says_it_is_ready_while_no_server_takes_writes_is_wrong() -> None:
    ledger = Ledger()
    async with await asyncio.start_server(answer_ready, "127.0.0.1", 0) as server:
        readiness = Readiness(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", ledger, deadline=10)
        async with readiness.running():
            await readiness.until_ready(10)
            assert ledger.wrong == []
            with ledger.no_writes():
                await until(lambda: ledger.wrong)

    assert ledger.wrong[0].startswith("/health/ready was 200 while no server took writes")


async def test_a_service_that_does_not_become_ready_is_wrong() -> None:
    ledger = Ledger()
    await Readiness("http://127.0.0.1:9", ledger, deadline=10).until_ready(0.05)

    assert ledger.wrong == ["writes were stored, and /health/ready was not 200 within 0.05 s"]


def test_the_quick_ones_are_kinds() -> None:
    assert set(QUICK) < set(KINDS)
