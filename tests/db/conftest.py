"""A way to the server that a test can look at, hold up and cut; queries of an SQL file that a test writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from app.db import Queries
from tests.databases import TemplateDatabase
from tests.network import Network


@pytest.fixture
def direct_url(layer_database: TemplateDatabase) -> Iterator[str]:
    """The DSN of this test's own database, without a table of the service."""
    with layer_database.copy() as dsn:
        yield dsn


@pytest.fixture
async def network(database_url: str) -> AsyncIterator[Network]:
    """The way to this test's own database."""
    async with Network(database_url) as network:
        yield network


@pytest.fixture(autouse=True)
def no_fault_of_the_upkeep(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """It goes on after a fault, so that no test would notice one; a test that makes one clears the log."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call") if record.name == "app.db.pool.upkeep"] == []


@pytest.fixture
def write_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Queries]:
    """Queries of a file `things.sql` in the current directory."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Queries:
        path = tmp_path / "things.sql"
        path.write_text(text, encoding="utf-8")
        return Queries(path, conflicts={"books_title_key": "title"}, references={"known_reader": "reader"})

    return write
