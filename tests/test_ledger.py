"""The ledger run in short; `python -m benchmarks.ledger` is the long one."""

from __future__ import annotations

import asyncio

from benchmarks.ledger import run_ledger


def test_no_transfer_is_lost_or_made_twice_whatever_dies() -> None:
    out, answers, faults = asyncio.run(run_ledger(count=12, seed=7))

    assert faults == []
    assert len(out.acknowledged) + len(out.refused) + len(out.unknown) == answers.total() == 12
