"""A round of each kind of faults that needs a PgBouncer, or a server with TLS; `make faults` makes more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.__main__ import complaints, possible, run_kind
from tests.faults.kinds import KINDS, NEEDS

pytestmark = pytest.mark.debian


@pytest.mark.parametrize("kind", sorted(NEEDS))
def test_with_tls_and_behind_a_pgbouncer_nothing_is_lost_doubled_hung_or_wrong(kind: str) -> None:
    ledger, audit = asyncio.run(run_kind(kind, rounds=1, seed=1))

    assert complaints(ledger, audit) == []
    assert ledger.acknowledged


def test_without_their_programs_they_are_left_out_with_a_line_that_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert possible(tuple(KINDS)) == list(KINDS)
    assert capsys.readouterr().err == ""

    monkeypatch.setitem(NEEDS, "server killed behind PgBouncer", Path("/nowhere/pgbouncer"))

    assert possible(("server killed behind PgBouncer", "server full")) == ["server full"]
    assert capsys.readouterr().err == (
        "server killed behind PgBouncer is left out: /nowhere/pgbouncer is missing;"
        " `make debian-packages` installs it\n"
    )
