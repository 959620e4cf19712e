"""Refuse to serve production with a login that may do everything."""

from app.db import Database
from app.settings import Settings, SettingsError

_LOGIN = "select rolname::text as name, rolsuper from pg_roles where rolname = current_user"


async def refuse_superuser(database: Database, settings: Settings) -> None:
    """Raise SettingsError if production connects as a superuser and DB_ALLOW_SUPERUSER does not say that it may."""
    if settings.is_development or settings.db_allow_superuser:
        return
    login = await database.fetchrow(_LOGIN)
    if login is not None and login["rolsuper"]:
        raise SettingsError(
            f"DATABASE_URL: connects as {login['name']}, a superuser: any mistake of the service could read and destroy"
            " everything on the server; create a login with the rights that it needs by `python -m app roles`, or set"
            " DB_ALLOW_SUPERUSER=true"
        )
