"""`python -m app top` against a running service."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from app.monitor.terminal import render
from tests.processes import run, service

KEY = "a key of the tests, long enough for HMAC-SHA-256"


def test_it_shows_statements_sessions_and_routes(database_url: str, tmp_path: Path) -> None:
    with service("serve", folder=tmp_path, DATABASE_URL=database_url, SECRET_KEY=KEY) as (_, client):
        client.get("/health/ready")
        done = run("app", "top", "--once", "--url", str(client.base_url), folder=tmp_path, COLUMNS="200")

    assert (done.returncode, done.stderr) == (0, "")
    assert "health.list_applied_migrations" in done.stdout
    assert "GET /health/ready" in done.stdout
    assert "Nothing is wrong." in done.stdout


def test_what_a_session_runs_is_shown_as_it_is_but_for_control_characters() -> None:
    session: dict[str, Any] = {
        "pid": 7,
        "state": "active",
        "state_seconds": 0.1,
        "blocked_by": [],
        "application_name": "\x1b[2Jx",
    }
    row: dict[str, Any] = {"session": session, "depth": 0, "statement": "[bold]\x1b[31m", "holder": None}
    state: dict[str, Any] = {"tiles": [], "problems": [], "statements": [], "routes": [], "sessions": [row]}
    console = Console(record=True, width=160, file=io.StringIO(), force_terminal=True)
    console.print(render(state, "share", 40))

    shown = console.export_text()
    assert "[bold][31m" in shown
    assert "\x1b[2J" not in shown


def test_a_service_that_is_not_there_or_does_not_let_in_is_one_line(database_url: str, tmp_path: Path) -> None:
    with service("serve", folder=tmp_path, DATABASE_URL=database_url, SECRET_KEY=KEY, TRUSTED_PROXIES="127.0.0.1") as (
        _,
        client,
    ):
        closed = run("app", "top", "--once", "--url", str(client.base_url), folder=tmp_path)
    gone = run("app", "top", "--once", "--url", str(client.base_url), folder=tmp_path)
    nonsense = run("app", "top", "--url", "ftp://x", folder=tmp_path)

    assert closed.returncode == 1
    assert "answered 403: The monitor is open to this machine only." in closed.stderr
    assert gone.returncode == 1
    assert "Connection refused); is the service running there?" in gone.stderr
    assert (nonsense.returncode, nonsense.stderr.splitlines()[-1]) == (
        2, "Error: --url ftp://x is no address; allowed: http://127.0.0.1:8000",
    )  # fmt: skip
