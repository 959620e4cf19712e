"""The database that a command works on: that of DATABASE_URL, or an embedded one while the command runs."""

from collections.abc import Generator
from contextlib import contextmanager

from app.embedded import DEFAULT_FOLDER, EmbeddedPostgres
from app.settings import load_settings


@contextmanager
def target_database() -> Generator[str]:
    """Yield the DSN of the database of the settings, as its owner, or of the embedded one."""
    settings = load_settings(needs_secret_key=False)
    if settings.names_a_database:
        yield settings.migration_dsn
        return
    with EmbeddedPostgres(DEFAULT_FOLDER) as dsn:
        yield dsn


@contextmanager
def scratch_server() -> Generator[str]:
    """Yield the DSN of a server on which databases may be created: never that of DATABASE_URL."""
    settings = load_settings(needs_secret_key=False)
    if settings.test_database_url is not None:
        yield settings.test_database_url.get_secret_value()
        return
    with EmbeddedPostgres(DEFAULT_FOLDER) as dsn:
        yield dsn
