"""Queries of an SQL file that a test writes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.db import Queries


@pytest.fixture
def write_queries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Queries]:
    """Queries of a file `things.sql` in the current directory."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Queries:
        path = tmp_path / "things.sql"
        path.write_text(text, encoding="utf-8")
        return Queries(path, conflicts={"books_title_key": "title"})

    return write
