"""docs/sql-files.md tells the truth: its examples are one program, and it prints what the page says."""

import re
from pathlib import Path
from typing import Any

import pytest

from app.db import Database
from tests.processes import ROOT

PAGE = (ROOT / "docs/sql-files.md").read_text(encoding="utf-8")
IMPORTS = """
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from app.db import Database, Executor, Queries
"""
TABLES = """
create table authors (id bigint generated always as identity, name text not null);
create type mood as enum ('glad', 'sad');
create table books (
    isbn bigint primary key, title text not null, published date not null, mood mood, author_id bigint
);
"""


def blocks(language: str) -> str:
    """The text of all blocks of the page in this language."""
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


async def test_the_examples_run_and_print_what_the_page_says(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "books.sql").write_text(blocks("sql"), encoding="utf-8")
    await db.execute(f"drop schema public cascade; create schema public; {TABLES}")
    scope: dict[str, Any] = {"__name__": "books"}
    exec(compile(IMPORTS + blocks("python"), "books.py", "exec"), scope)

    await scope["main"](db)

    assert capsys.readouterr().out == blocks("text")
