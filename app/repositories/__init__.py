"""Row types and the functions bound to sql/, one module for each file. May import only app.db."""

from importlib import import_module
from pathlib import Path

from app.db import Query, reload_on_change

SQL = Path(__file__).parents[2] / "sql"


def watch_sql() -> None:
    """Let changes in sql/ take effect on the next call, for development."""
    for path in sorted(SQL.glob("*.sql")):
        reload_on_change(import_module(f"{__name__}.{path.stem}").queries)


def all_queries() -> dict[str, Query]:
    """Return every bound query by name, `users.find_user`."""
    modules = [import_module(f"{__name__}.{path.stem}") for path in sorted(SQL.glob("*.sql"))]
    return {query.name: query for module in modules for query in module.queries.bound.values()}
