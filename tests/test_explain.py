"""`python -m app explain` on the statements of the kit."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.processes import ROOT, run

NAME = "health.delete_nothing"


def explain(dsn: str, *arguments: str, folder: Path = ROOT) -> CompletedProcess[str]:
    return run("app", "explain", *arguments, folder=folder, DATABASE_URL=dsn)


def test_a_statement_is_shown_with_its_place_its_text_and_its_plan(database_url: str) -> None:
    done = explain(database_url, "health.delete_nothing")

    assert (done.returncode, done.stderr) == (0, "")
    assert "sql/health.sql:" in done.stdout
    assert "delete from commit_tokens where false /* health.delete_nothing */" in done.stdout
    assert "Delete on commit_tokens" in done.stdout


def test_a_read_can_be_run_and_measured_and_a_write_cannot(database_url: str) -> None:
    read = explain(database_url, "health.list_applied_migrations", "--analyze")
    write = explain(database_url, "health.delete_nothing", "--analyze")

    assert "Execution Time:" in read.stdout
    assert (write.returncode, write.stdout) == (1, "")
    assert "delete_nothing: it is not analyzed, which would run it: it may write" in write.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["health.delete_nothin"],
            "there is no statement 'health.delete_nothin'; did you mean 'health.delete_nothing'?",
        ),
        (["nonsense"], "there is no statement 'nonsense'; --list shows all"),
        (["health.delete_nothing", "limit"], "'limit' is no PARAMETER=VALUE"),
        (["health.delete_nothing", "limit=1"], "health.delete_nothing has no parameter 'limit'; it has: none"),
    ],
)
def test_bad_input_is_named_in_one_line(database_url: str, arguments: list[str], problem: str) -> None:
    done = explain(database_url, *arguments)

    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"Error: {problem}"


def test_all_statements_can_be_listed(database_url: str) -> None:
    assert "health.delete_nothing" in explain(database_url, "--list").stdout.splitlines()
