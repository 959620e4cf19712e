"""`python -m app serve --reload`: SQL files change under a running service."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import httpx2
import pytest

from tests.processes import ROOT, end, events, service

KEY = "a key of the tests, long enough for HMAC-SHA-256"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the program, whose SQL files a test may change."""
    for name in ("app", "sql", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def tags(client: httpx2.Client) -> object:
    """What the service answers by the statement of sql/tags.sql."""
    return client.get("/api/tags").raise_for_status().json()["tags"]


def test_a_running_service_takes_changes_and_outlives_mistakes(project: Path, database_url: str) -> None:
    file = project / "sql" / "tags.sql"
    settings = {"DATABASE_URL": database_url, "SECRET_KEY": KEY}
    with service("serve", "--reload", folder=project, **settings) as (process, client):
        assert tags(client) == []
        file.write_text("-- name: get_tags\nselect array['changed'] as names;\n")
        assert tags(client) == ["changed"]
        file.write_text("-- name: get_tags\nselect array[tag]\nfrom article_tagz;\n")
        assert [tags(client), tags(client)] == [["changed"], ["changed"]]
        file.write_text("-- name: get_tags\nselect 'never closed as tag;\n")
        assert tags(client) == ["changed"]
        file.write_text("-- name: get_tags\nselect array['mended'] as names;\n")
        assert tags(client) == ["mended"]
        code, _, errors = end(process, signal.SIGTERM)

    assert code == 0
    assert "\n".join(events(errors)).splitlines() == [
        'sql/tags.sql:3:6: relation "article_tagz" does not exist',
        "from article_tagz;",
        "     ^",
        "the last good text of get_tags stays",
        "sql/tags.sql:2:8: this string is opened by ' and never closed",
        "select 'never closed as tag;",
        "       ^",
        "the last good texts of tags.sql stay",
    ]


def test_without_the_option_a_running_service_stays_as_it_started(project: Path, database_url: str) -> None:
    with service("serve", folder=project, DATABASE_URL=database_url, SECRET_KEY=KEY) as (process, client):
        (project / "sql" / "tags.sql").write_text("-- name: get_tags\nselect array['changed'] as names;\n")
        assert tags(client) == []
        assert end(process, signal.SIGTERM) == (0, "", "")
