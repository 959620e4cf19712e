"""docs/from-sqlalchemy.md tells the truth: its examples are one program, with a FastAPI application in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.db import Database
from tests.processes import ROOT

PAGE = (ROOT / "docs/from-sqlalchemy.md").read_text(encoding="utf-8")
IMPORTS = """
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request

from app.db import Conflict, Connection, Database, Executor, NotFound, Queries
"""
TABLES = """
create schema library;
set search_path to library;
create table authors (
    id bigint generated always as identity constraint authors_pkey primary key,
    name text not null constraint authors_name_key unique
);
create table books (
    id bigint generated always as identity constraint books_pkey primary key,
    title text not null,
    author_id bigint not null constraint books_author_id_fkey references authors (id)
);
"""


def blocks(language: str) -> str:
    """The text of all blocks of the page in this language."""
    return "\n\n".join(re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


@pytest.fixture
async def library(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """The names of the program on the page; DATABASE_URL leads to its tables."""
    async with Database(database_url, min_size=1) as db:
        await db.execute(TABLES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", f"{database_url}?options=-csearch_path%3Dlibrary")
    (tmp_path / "library.sql").write_text(blocks("sql"), encoding="utf-8")
    scope: dict[str, Any] = {"__name__": "library"}
    exec(compile(IMPORTS + blocks("python"), "library.py", "exec", dont_inherit=True), scope)
    return scope


async def test_the_examples_run_and_print_what_the_page_says(
    library: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    async with Database(library["os"].environ["DATABASE_URL"], min_size=1) as db:
        await library["main"](db)
        await library["test_a_name_is_taken_once"](db)

    assert capsys.readouterr().out == blocks("text")


async def test_the_fastapi_application_stores_and_answers(library: dict[str, Any]) -> None:
    app = library["app"]
    transport = httpx2.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        created = await client.post("/authors", params={"name": "Austen"})
        book_id = await library["create_book"](app.state.database, title="Emma", author_id=created.json()["id"])
        book = await client.get(f"/books/{book_id}")
        missing = await client.get("/books/7")

    assert (created.status_code, created.json()["name"]) == (201, "Austen")
    assert book.json() == {"id": book_id, "title": "Emma", "author_id": created.json()["id"]}
    assert missing.status_code == 404


def test_the_page_names_the_commands_that_there_are() -> None:
    commands = set(re.findall(r"python -m app (\w+)", PAGE))

    assert commands
    assert all((ROOT / f"app/commands/{command}.py").exists() for command in commands)
