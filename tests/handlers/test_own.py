"""`python -m app own`: what it would take off. That what remains works is tested by tests/test_make_it_yours.py."""

from __future__ import annotations

import pytest

from app.scaffold.checkout import ScaffoldError
from app.scaffold.own import own_service
from tests.processes import ROOT


def changes(*, deleted: bool) -> set[str]:
    found = own_service(ROOT, "bookshop")
    return {str(change.path.relative_to(ROOT)) for change in found if (change.text is None) is deleted}


def test_the_example_goes_and_the_kit_stays() -> None:
    deleted = changes(deleted=True)

    assert {"app/handlers/conduit.py", "app/imports.py", "sql/users.sql", "tests/handlers"} < deleted
    assert not {name for name in deleted if "health" in name or "commit-tokens" in name or name.startswith("app/db")}


def test_one_line_of_main_changes() -> None:
    [change] = [change for change in own_service(ROOT, "bookshop") if change.path == ROOT / "app/main.py"]
    assert change.text is not None

    before, after = (ROOT / "app/main.py").read_text().splitlines(), change.text.splitlines()
    different = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [new for _, new in different] == ["from app.handlers.bookshop import API"]


def test_no_file_that_stays_mentions_a_module_of_the_example() -> None:
    gone = [name for name in changes(deleted=True) if name.startswith("app/") and name.endswith(".py")]
    modules = [name.removesuffix(".py").replace("/", ".") for name in gone]
    written, deleted = changes(deleted=False), changes(deleted=True)
    files = [path for folder in ("app", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    for path in files:
        name = str(path.relative_to(ROOT))
        if name in written | deleted or any(name.startswith(f"{folder}/") for folder in deleted):
            continue
        text = path.read_text()
        assert [module for module in modules if f"{module} " in text or f"{module}\n" in text] == [], name


@pytest.mark.parametrize("name", ["Bookshop", "my-shop", "import", "table", "users", "errors"])
def test_a_name_that_is_reserved_or_taken_is_refused(name: str) -> None:
    with pytest.raises(ScaffoldError, match=f"'{name}'"):
        own_service(ROOT, name)
