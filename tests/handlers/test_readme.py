"""What the README and docs/http.md show of the example is true: files, a script and terminal sessions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.processes import ROOT, environment, run, server_folder, started

ADDRESS = "http://127.0.0.1:8000"


def blocks(language: str, page: str = "README.md") -> list[str]:
    """The fenced blocks of the page in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def shown(session: str) -> list[tuple[str, str]]:
    """The commands of a terminal session, each with the output under it."""
    return [(command, output) for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE)]


def test_the_files_it_shows_are_as_they_are() -> None:
    files = [path.read_text() for path in (ROOT / "sql/profiles.sql", ROOT / "app/repositories/profiles.py")]
    files.append((ROOT / "app/handlers/profiles.py").read_text())
    excerpts = [*blocks("sql"), *blocks("python")[:2]]

    assert len(excerpts) == 3
    for excerpt, text in zip(excerpts, files, strict=True):
        assert excerpt in text


def test_the_script_without_http_runs(direct_url: str) -> None:
    script = next(block for block in blocks("python") if "asyncio.run" in block)
    # It is as short as can be, and knows nothing of a PgBouncer.
    settings = environment(DATABASE_URL=direct_url, SECRET_KEY="a key that is at least 32 bytes long")

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stderr == ""
    assert done.stdout == "User(id=1, username='ann', email='ann@example.com', bio=None, image=None) 1\n"


@pytest.mark.parametrize("page", ["README.md", "docs/http.md"])
def test_a_stranger_sees_what_the_terminal_sessions_show(page: str, tmp_path: Path) -> None:
    session = next(block for block in blocks("console", page) if "curl" in block)
    with (
        server_folder() as folder,
        started([sys.executable, "-m", "app", "serve"], folder=folder.parent, PORT="0") as service,
    ):
        assert service.stdout is not None
        address = re.findall(r"http://[\d.:]+", service.stdout.readline())[0]
        commands = "\n".join(f"{command}; echo; echo ---" for command, _ in shown(session))
        done = subprocess.run(
            ["bash", "-c", commands.replace(ADDRESS, address)], capture_output=True, text=True, timeout=60, check=True,
            cwd=tmp_path, env=dict(os.environ),
        )  # fmt: skip
        with urlopen(f"{address}/docs", timeout=10) as docs:
            assert docs.status == 200
        service.terminate()
        assert service.wait(30) == 0

    printed = [part.strip() for part in done.stdout.split("---\n")][:-1]
    for (command, output), result in zip(shown(session), printed, strict=True):
        assert re.fullmatch(".*".join(map(re.escape, output.strip().split("…"))), result, re.DOTALL), command


def test_the_checker_prints_what_it_shows(direct_url: str) -> None:
    shown_output = next(block for block in blocks("console") if "-m app check" in block).splitlines()[1:]

    done = run("app", "check", folder=ROOT, TEST_DATABASE_URL=direct_url)

    assert shown_output == [done.stdout.splitlines()[0], "…"]
