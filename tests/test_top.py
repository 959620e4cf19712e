"""`python -m app top` against a running service."""

from __future__ import annotations

from pathlib import Path

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
