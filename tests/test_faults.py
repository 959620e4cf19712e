"""A round of some kinds of faults; `make faults` makes more rounds of all."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults.__main__ import complaints, run_kind
from tests.faults.kinds import KINDS
from tests.faults.ledger import Audit, Ledger

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


def test_the_quick_ones_are_kinds() -> None:
    assert set(QUICK) < set(KINDS)
