"""The checkout that the scaffold changes: what git says of it, and the names that are allowed in it."""

import builtins
import keyword
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
# PostgreSQL's reserved words, and those that need quotes as the name of a column or a table: pg_get_keywords().
_SQL_WORDS = frozenset(
    """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
    column concurrently constraint create cross current_catalog current_date current_role current_schema current_time
    current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze
    from full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit
    localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references
    returning right select session_user similar some symmetric system_user table tablesample then to trailing true
    union unique user using variadic verbose when where window with
    """.split()
)


class ScaffoldError(Exception):
    """The scaffold cannot do what was asked. The message says why and what to do."""


def check_name(name: str, what: str) -> None:
    """Raise ScaffoldError unless the name is lower case, and used neither by Python nor by SQL."""
    if not _NAME.fullmatch(name):
        raise ScaffoldError(f"{what} {name!r}: use lower-case letters, digits and single underscores, a letter first")
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        raise ScaffoldError(f"{what} {name!r}: Python reserves this word; choose another")
    if hasattr(builtins, name):
        raise ScaffoldError(f"{what} {name!r}: Python has a built-in function of this name; choose another")
    if name in _SQL_WORDS:
        raise ScaffoldError(f"{what} {name!r}: SQL reserves this word; choose another")


def require_committed(root: Path) -> None:
    """Raise ScaffoldError unless everything in the checkout is committed, so that git can undo what follows."""
    try:
        done = subprocess.run(
            ["git", "status", "--porcelain"],  # noqa: S607 - the user's own git
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise ScaffoldError("git is not installed; it is what makes this undoable: install it") from None
    if done.returncode:
        raise ScaffoldError(f"{root} is not a git repository, so nothing could be undone: git init, add and commit")
    if done.stdout:
        files = [line[3:] for line in done.stdout.splitlines()]
        more = f" and {len(files) - 5} more" if len(files) > 5 else ""
        raise ScaffoldError(f"commit these first, or stash them: {', '.join(files[:5])}{more}")


def write_new(files: dict[Path, str]) -> None:
    """Write new files, all or none. Raises ScaffoldError when one exists."""
    existing = [str(path.relative_to(ROOT)) for path in files if path.exists()]
    if existing:
        raise ScaffoldError(f"these files exist already, and nothing was written: {', '.join(existing)}")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
