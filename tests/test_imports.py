"""The imports between the rooms go one way, and a violation is a red build."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from tests.processes import ROOT

LINT_IMPORTS = str(Path(sys.executable).with_name("lint-imports"))
MOST_MODULES = 20
MOST_FLOORS = 8


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


def test_the_rooms_keep_their_contracts(project: Path) -> None:
    done = lint(project)

    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


FOR_TYPES = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    "


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("db/binding/row_type.py", "import starlette"),
        ("db/binding/row_type.py", "import app.settings"),
        ("db/binding/row_type.py", "import app.repositories.health"),
        ("db/sql/lexer.py", "import app.db.binding.query"),
        ("db/sql/lexer.py", f"{FOR_TYPES}import app.db.binding.query"),
        ("db/binding/query.py", f"{FOR_TYPES}import app.db.session.session"),
        ("db/session/session.py", f"{FOR_TYPES}import app.db.pool.pool"),
        ("db/pool/pool.py", f"{FOR_TYPES}import app.db.connection"),
        ("db/pool/queue.py", f"{FOR_TYPES}import app.db.pool.pool"),
        ("db/session/transaction.py", f"{FOR_TYPES}import app.db.session.copy"),
        ("check/postgres/schema.py", f"{FOR_TYPES}import app.check.python.declared"),
        ("check/python/declared.py", f"{FOR_TYPES}import app.check.rules.problems"),
        ("check/rules/problems.py", f"{FOR_TYPES}import app.check.lock"),
        ("check/lock.py", "import app.db.session.session"),
        ("check/lock.py", "import app.db.pool.options"),
        ("check/lock.py", "import pydantic"),
        ("check/lock.py", "import app.migrations"),
        ("check/lock.py", "import app.repositories.health"),
        ("http/errors.py", "import app.security"),
        ("http/errors.py", "import app.repositories.health"),
        ("http/errors.py", "import asyncpg"),
        ("repositories/health.py", "import pydantic"),
        ("repositories/health.py", "import asyncpg"),
        ("repositories/health.py", "import app.handlers"),
        ("repositories/health.py", "import app.http.errors"),
        ("handlers/__init__.py", "import asyncpg"),
        ("handlers/__init__.py", "import app.settings"),
        ("handlers/__init__.py", "import app.main"),
        ("handlers/__init__.py", "import app.check.lock"),
        ("serve.py", "import app.check.lock"),
        ("main.py", "import app.scaffold.own"),
    ],
)
def test_a_planted_violation_is_found(project: Path, module: str, planted: str) -> None:
    file = project / "app" / module
    file.write_text(f"{file.read_text()}\n{planted}\n")

    done = lint(project)

    assert done.returncode == 1
    assert "0 broken" not in done.stdout


def rooms() -> list[Path]:
    """The folders of the layer, the checker and the kit that have modules."""
    folders = {path.parent for name in ("db", "check", "http") for path in (ROOT / "app" / name).rglob("*.py")}
    return sorted(folders)


@pytest.mark.parametrize("room", [str(room.relative_to(ROOT)) for room in rooms()])
def test_a_room_can_be_seen_at_a_glance(room: str) -> None:
    modules = [path for path in (ROOT / room).glob("*.py") if path.name != "__init__.py"]
    text = (ROOT / room / "__init__.py").read_text()

    assert len(modules) <= MOST_MODULES
    assert all(len(path.read_text().splitlines()) <= 300 for path in modules)
    assert text.startswith('"""')


@pytest.mark.parametrize("room", [str(room.relative_to(ROOT)) for room in rooms()])
def test_a_room_has_few_floors(room: str) -> None:
    """A module is one floor above everything in its room that it imports; a folder counts as one module."""
    assert floors(room.replace("/", ".")) <= MOST_FLOORS


def floors(package: str) -> int:
    """The length of the longest chain of imports between the children of a package."""
    graph = grimp.build_graph("app", include_external_packages=False)
    imports = {child: set[str]() for child in graph.find_children(package)}
    for child, below in imports.items():
        for module in {child, *graph.find_descendants(child)}:
            below.update(
                other
                for imported in graph.find_modules_directly_imported_by(module)
                for other in imports
                if other != child and (imported == other or imported.startswith(f"{other}."))
            )
    height: dict[str, int] = {}

    def floor(child: str) -> int:
        if child not in height:
            height[child] = 1 + max(map(floor, imports[child]), default=0)
        return height[child]

    return max(map(floor, imports), default=0)


def test_the_running_service_never_loads_the_checker() -> None:
    serve = "from app.__main__ import main; import app.main; main(['serve', '--help'], standalone_mode=False)"
    loaded = "[name for name in sys.modules if name.startswith(('app.check', 'app.scaffold'))]"
    script = f"import sys; {serve}; print({loaded})"

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"
