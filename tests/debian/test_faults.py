"""A round of each kind of faults that happens behind a PgBouncer; `make faults` makes more rounds of all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import tests.faults.__main__
from tests.faults.__main__ import complaints, possible, run_kind
from tests.faults.kinds import KINDS, POOLED

pytestmark = pytest.mark.debian


@pytest.mark.parametrize("kind", sorted(POOLED))
def test_behind_a_pgbouncer_nothing_is_lost_doubled_hung_or_wrong(kind: str) -> None:
    ledger, audit = asyncio.run(run_kind(kind, rounds=1, seed=1))

    assert complaints(ledger, audit) == []
    assert ledger.acknowledged


def test_without_a_pgbouncer_they_are_left_out_with_a_line_that_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert possible(tuple(KINDS)) == list(KINDS)
    assert capsys.readouterr().err == ""

    monkeypatch.setattr(tests.faults.__main__, "PROGRAM", Path("/nowhere/pgbouncer"))

    assert possible(tuple(KINDS)) == [name for name in KINDS if name not in POOLED]
    assert capsys.readouterr().err.splitlines() == [
        f"{name}: left out, because there is no /nowhere/pgbouncer: install Debian's package pgbouncer"
        for name in KINDS
        if name in POOLED
    ]
