"""The imports between the layers go one way, and a violation is a red build."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

LINT_IMPORTS = str(Path(sys.executable).with_name("lint-imports"))


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the contracts speak of."""
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_layers_keep_their_contracts(project: Path) -> None:
    done = lint(project)

    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("db/rows.py", "import starlette"),
        ("db/rows.py", "import app.settings"),
        ("db/rows.py", "import app.repositories.users"),
        ("repositories/users.py", "import pydantic"),
        ("repositories/users.py", "import asyncpg"),
        ("repositories/users.py", "import app.handlers.users"),
        ("handlers/users.py", "import asyncpg"),
        ("handlers/users.py", "import app.settings"),
        ("handlers/users.py", "import app.main"),
        ("handlers/users.py", "import app.check.lock"),
        ("serve.py", "import app.check.lock"),
        ("check/lock.py", "import pydantic"),
        ("check/lock.py", "import app.migrations"),
        ("check/lock.py", "import app.repositories.users"),
    ],
)
def test_a_planted_violation_is_found(project: Path, module: str, planted: str) -> None:
    file = project / "app" / module
    file.write_text(f"{file.read_text()}\n{planted}\n")

    done = lint(project)

    assert done.returncode == 1
    assert "1 broken" in done.stdout or "2 broken" in done.stdout


def test_the_running_service_never_loads_the_checker() -> None:
    serve = "from app.__main__ import main; import app.main; main(['serve', '--help'], standalone_mode=False)"
    script = f"import sys; {serve}; print([name for name in sys.modules if name.startswith('app.check')])"

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"
