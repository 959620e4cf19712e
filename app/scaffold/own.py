"""Takes the example off: what remains is a service with health, docs page, migrations and tests."""

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from app.scaffold.checkout import ScaffoldError, check_name
from app.settings_table import settings_table

# What belongs to the example, and what of that stays with the kit.
EXAMPLE = (
    "app/handlers/*.py", "app/repositories/*.py", "app/imports.py", "app/commands/import_.py", "app/commands/seed.py",
    "app/seeding", "sql/*.sql",
    "migrations/*.sql", "tests/handlers", "tests/repositories", "tests/debian/test_docs_page.py",
    "benchmarks/export.py", "benchmarks/http", "benchmarks/growth.py", "benchmarks/footprint.py",
    "benchmarks/workers.py", "benchmarks/telemetry.py", "benchmarks/unwatched.py", "benchmarks/overload.py",
    "benchmarks/results", "docs/performance.md", "docs/benchmarks.svg",
    "tests/faults", "tests/test_faults.py", "tests/debian/test_faults.py", "docs/reliability.md",
)  # fmt: skip
KIT = (
    "app/handlers/__init__.py", "app/repositories/__init__.py", "app/repositories/health.py", "sql/health.sql",
    "app/repositories/monitor.py", "sql/monitor.sql", "app/repositories/idempotency.py", "sql/idempotency.sql",
    "migrations/*.create-commit-tokens.sql", "migrations/*.create-commit-tokens.rollback.sql",
    "migrations/*.create-idempotency-keys.sql", "migrations/*.create-idempotency-keys.rollback.sql",
)  # fmt: skip
_KIT_QUERIES = ("health.", "idempotency.", "monitor.")
_FAULTS = re.compile(r"^faults:.*\n(?:\t.*\n)+\n", re.MULTILINE)
_API_LINE = re.compile(r"^from app\.handlers\.(\w+) import API\b.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Change:
    """A file or folder that is deleted, or a file that gets this text."""

    path: Path
    text: str | None
    """None for a deletion."""

    def apply(self) -> None:
        """Delete or write."""
        if self.text is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(self.text, encoding="utf-8")
        elif self.path.is_dir():
            shutil.rmtree(self.path)
        else:
            self.path.unlink()


def own_service(root: Path, name: str) -> list[Change]:
    """Return what turns the checkout into a service of this name. Raises ScaffoldError for a bad or taken name."""
    check_name(name, "the service")
    if name in {path.stem for path in (root / "app").rglob("*.py")} | {"tests", "app"}:
        raise ScaffoldError(f"the service {name!r}: a module of this name exists; choose another")
    main = (root / "app/main.py").read_text(encoding="utf-8")
    if not (root / f"app/handlers/{api_module(root)}.py").exists() or not (root / "app/imports.py").exists():
        raise ScaffoldError(
            "the example is not in this checkout any more; python -m app new resource goes on from here"
        )
    return [*_deletions(root), *_writes(root, name, main)]


def api_module(root: Path) -> str:
    """Return the name of the module in app/handlers that app/main.py takes its API from."""
    found = _API_LINE.search((root / "app/main.py").read_text(encoding="utf-8"))
    if found is None:
        raise ScaffoldError("app/main.py has no line `from app.handlers.… import API`: add it, with your module's name")
    return found[1]


def template(name: str, **values: str) -> str:
    """Return a file of the templates with `$name` replaced by these values."""
    text = (files("app.scaffold") / "templates" / name).read_text(encoding="utf-8")
    return Template(text).substitute(values)


def _deletions(root: Path) -> Iterator[Change]:
    kept = set(_found(root, KIT))
    for path in _found(root, EXAMPLE):
        if path not in kept:
            yield Change(path, None)


def _found(root: Path, patterns: Iterable[str]) -> list[Path]:
    return [path for pattern in patterns for path in sorted(root.glob(pattern))]


def _writes(root: Path, name: str, main: str) -> Iterator[Change]:
    title = name.replace("_", " ").capitalize()
    yield Change(root / f"app/handlers/{name}.py", template("api.py.txt", title=title))
    main = _API_LINE.sub(f"from app.handlers.{name} import API", main)
    yield Change(root / "app/main.py", main)
    yield Change(root / "README.md", template("readme.md.txt", title=title, settings=settings_table()))
    yield Change(root / "tests/handlers/__init__.py", "")
    yield Change(root / f"tests/handlers/test_{name}.py", template("test_api.py.txt", title=title))
    yield Change(root / "sql/lock.json", _lock(root))
    yield Change(root / "Makefile", _FAULTS.sub("", (root / "Makefile").read_text(encoding="utf-8")))
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    project = re.sub(r'^name = "bindery"$', f'name = "{name}"', project, count=1, flags=re.MULTILINE)
    description = f'description = "{title}, a service over raw asyncpg."'
    yield Change(
        root / "pyproject.toml", re.sub(r"^description = .*$", description, project, count=1, flags=re.MULTILINE)
    )


def _lock(root: Path) -> str:
    """Return the lock file with the statements of the kit only, in the format of `check --lock`."""
    lock = json.loads((root / "sql/lock.json").read_text(encoding="utf-8"))
    queries = {key: entry for key, entry in lock["queries"].items() if key.startswith(_KIT_QUERIES)}
    types = {name: of for name, of in lock["types"].items() if name in json.dumps(queries)}
    return json.dumps({"queries": queries, "types": types}, indent=2, ensure_ascii=False) + "\n"
