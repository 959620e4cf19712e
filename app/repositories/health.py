"""What the service needs to know of its database before it takes requests."""

from app.db import Executor, Queries
from app.repositories import SQL

queries = Queries(SQL / "health.sql")


@queries.bind
async def list_applied_migrations(db: Executor) -> list[str]:
    """The ids of the migrations that were applied. Raises BindingError when there never was one."""
    ...


@queries.bind
async def delete_nothing(db: Executor) -> None:
    """Return if the server takes writes; its error, for which `is_server_unfit()` is true, if it is read only."""
    ...
