"""Questions about the database for the health checks."""

from app.db import Executor, Queries
from app.repositories import SQL

queries = Queries(SQL / "health.sql")


@queries.bind
async def list_applied_migrations(db: Executor) -> list[str]:
    """Return the ids of the applied migrations. Raises BindingError when none was ever applied."""
    ...


@queries.bind
async def delete_nothing(db: Executor) -> None:
    """Return if the server accepts writes. Raises an error with `is_server_unfit()` when it is read only."""
    ...
