"""`python -m app new resource`: the names that it accepts, and that it never overwrites."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from app.scaffold.checkout import ScaffoldError, check_name, require_committed, write_new
from app.scaffold.fields import parse_fields
from app.scaffold.resource import new_resource, registered, singular_of
from tests.processes import ROOT, run


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that a new resource looks at."""
    for name in ("app/handlers", "app/repositories", "app/main.py", "sql", "migrations"):
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    return tmp_path


@pytest.mark.parametrize("name", ["", "Notes", "9notes", "my-notes", "notes_", "class", "match", "select", "list"])
def test_a_name_that_python_or_sql_uses_is_refused(name: str) -> None:
    with pytest.raises(ScaffoldError, match=r"^the resource"):
        check_name(name, "the resource")


@pytest.mark.parametrize(
    ("plural", "singular"),
    [("notes", "note"), ("categories", "category"), ("boxes", "box"), ("classes", "class"), ("branches", "branch")],
)
def test_the_singular_is_found(plural: str, singular: str) -> None:
    assert singular_of(plural) == singular


def test_a_plural_without_s_needs_its_singular() -> None:
    with pytest.raises(ScaffoldError, match="--singular"):
        singular_of("people")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ((), "name at least one field"),
        (("title",), "write name:type"),
        (("title:string",), "with a type of text, int"),
        (("title:text", "title:int"), "comes twice"),
        (("created_at:date",), "every resource has one"),
        (("order:int",), "SQL reserves"),
        (("title:text?",), "at least one field must be required"),
    ],
)
def test_a_field_that_cannot_be_is_refused(fields: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ScaffoldError, match=problem):
        parse_fields(fields)


def test_the_files_of_a_resource_have_its_name(checkout: Path) -> None:
    files = new_resource(checkout, "gadgets", "gadget", parse_fields(("title:text",)))

    names = {str(path.relative_to(checkout)) for path in files}
    assert {"sql/gadgets.sql", "app/repositories/gadgets.py", "app/handlers/gadgets.py"} < names
    assert "tests/handlers/test_gadgets.py" in names
    assert len([name for name in names if name.endswith("create-gadgets.sql")]) == 1
    assert len(names) == 6


def test_a_resource_that_exists_is_refused(checkout: Path) -> None:
    (checkout / "sql/gadgets.sql").write_text("")

    with pytest.raises(ScaffoldError, match="'gadgets' exists already"):
        new_resource(checkout, "gadgets", "gadget", parse_fields(("title:text",)))


def test_a_table_that_a_migration_creates_is_taken(checkout: Path) -> None:
    with pytest.raises(ScaffoldError, match="'commit_tokens' exists already"):
        new_resource(checkout, "commit_tokens", "commit_token", parse_fields(("title:text",)))


@pytest.mark.parametrize("field", ["gadget_id", "gadget", "gadgets", "db"])
def test_a_field_with_a_name_that_the_functions_use_is_refused(checkout: Path, field: str) -> None:
    with pytest.raises(ScaffoldError, match="use this name"):
        new_resource(checkout, "gadgets", "gadget", parse_fields((f"{field}:text",)))


def test_a_resource_is_added_to_the_service_each_time(checkout: Path) -> None:
    for name in ("gadgets", "alarms"):
        path, text = registered(checkout, name)
        path.write_text(text)

    [line] = [line for line in text.splitlines() if line.startswith("from app.handlers import ")]
    assert {"gadgets", "alarms"} < set(line.removeprefix("from app.handlers import ").replace(",", "").split()) | {""}
    assert text.index("*gadgets.operations") < text.index("*alarms.operations")
    compile(text, str(path), "exec")


def test_nothing_is_written_when_one_file_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.scaffold.checkout.ROOT", tmp_path)
    (tmp_path / "old").write_text("as it was")

    with pytest.raises(ScaffoldError, match=r"nothing was written: old$"):
        write_new({tmp_path / "new": "new", tmp_path / "old": "new"})

    assert not (tmp_path / "new").exists()
    assert (tmp_path / "old").read_text() == "as it was"


def test_what_git_does_not_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScaffoldError, match="not a git repository"):
        require_committed(tmp_path)

    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    require_committed(tmp_path)
    (tmp_path / "draft").write_text("")
    with pytest.raises(ScaffoldError, match=r"commit these first, or stash them: draft$"):
        require_committed(tmp_path)


def test_a_wrong_name_at_the_command_line_is_one_line(tmp_path: Path) -> None:
    done = run("app", "new", "resource", "select", "title:text", folder=ROOT)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: the resource 'select'")
    assert len(done.stderr.splitlines()) == 1
