"""docs/make-it-yours.md tells the truth: a fresh clone becomes a service of one's own by what the page says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, environment, started

PAGE = (ROOT / "docs/make-it-yours.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(console|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
CHANGING = re.compile(r'At":"[^"]+"')
# The layer's and the checker's tests are those of this checkout, which run by themselves.
OWN_TESTS = "make test ARGS='tests/handlers tests/http tests/test_migrations.py'"

pytestmark = [pytest.mark.index, pytest.mark.long]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of this checkout as it is on disk, with everything committed."""
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    folder = tmp_path / "bookshop"
    for name in files:
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "A clone"]):
        shell(f"git {' '.join(repr(word) for word in command)}", folder)
    return folder


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    identity = {"GIT_AUTHOR_NAME": "ann", "GIT_AUTHOR_EMAIL": "ann@example.org", "PYTHON": sys.executable}
    # Other tests run beside this one: each more process would start a server of its own.
    identity |= {"PYTEST_XDIST_AUTO_NUM_WORKERS": "1"}
    identity |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in identity.items() if "AUTHOR" in name}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=500, check=False,
        env={**environment(), **identity, "PYTHONWARNINGS": ""},
    )  # fmt: skip


def curl(session: str, folder: Path) -> None:
    """Run a session against the service of the folder, and compare what it prints."""
    with started([str(folder / ".venv/bin/python"), "-m", "app"], folder=folder, PORT="0") as service:
        assert service.stdout is not None
        assert service.stderr is not None
        [address] = re.findall(r"http://[\d.:]+", service.stdout.readline()) or [service.stderr.read()]
        for command, output in COMMAND.findall(session):
            printed = shell(command.replace("http://127.0.0.1:8000", address), folder).stdout
            assert CHANGING.sub('At":"…"', printed).strip() == output.strip(), command
        service.terminate()
        assert service.wait(30) == 0


def test_the_page_leads_from_a_clone_to_a_service_of_ones_own(clone: Path) -> None:
    for kind, text in BLOCK.findall(PAGE):
        if kind == "diff":
            (clone / "change.diff").write_text(text)
            done = shell("git apply change.diff && rm change.diff", clone)
            assert done.returncode == 0, done.stderr + text
        elif "curl" in text:
            curl(text, clone)
        else:
            for command, output in COMMAND.findall(text):
                done = shell(OWN_TESTS if command == "make test" else command, clone)
                assert output.strip() in done.stdout, done.stdout + done.stderr
                assert (done.returncode == 0) is (not output.strip()), command + done.stdout + done.stderr
    assert (clone / "app/handlers/bookshop.py").exists()
