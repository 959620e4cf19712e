"""Row types and the functions bound to sql/: one module for each file."""

from importlib import import_module
from pathlib import Path

from app.db import reload_on_change

SQL = Path(__file__).parents[2] / "sql"


def watch_sql() -> None:
    """From now on a change in sql/ takes effect on the next call; for development."""
    for path in sorted(SQL.glob("*.sql")):
        reload_on_change(import_module(f"{__name__}.{path.stem}").queries)
