"""`python -m app serve`."""

import os
import secrets
import socket
from pathlib import Path

import click
from pydantic import SecretStr

from app.embedded import DEFAULT_FOLDER, EmbeddedPostgres
from app.migrations import apply_migrations
from app.repositories import watch_sql
from app.serve import bind, run
from app.settings import Settings, load_settings


@click.command()
@click.option("--migrate", "migrates", is_flag=True, help="Apply pending migrations first.")
@click.option("--reload", "reloads", is_flag=True, help="Take changes in sql/ on the next call; for development.")
def command(migrates: bool, reloads: bool) -> None:
    """Run the service until Ctrl-C or SIGTERM.

    The embedded PostgreSQL starts, is migrated and stops with the service.
    The database of DATABASE_URL is migrated only with --migrate: until it is,
    /health/ready names what is pending.

    With --reload an SQL file that is broken is logged, and its last good
    statements stay. Python files are read once.

    \b
    Example:
        PORT=8080 python -m app serve --migrate
    """
    settings = load_settings()
    if reloads:
        watch_sql()
    with bind(settings.host, settings.port) as listener:
        if settings.database_url is not None:
            _serve(settings, listener, migrates=migrates)
            return
        with EmbeddedPostgres(DEFAULT_FOLDER) as dsn:
            key = settings.secret_key or SecretStr(_kept_secret_key(DEFAULT_FOLDER))
            embedded = settings.model_copy(update={"database_url": SecretStr(dsn), "secret_key": key})
            _serve(embedded, listener, migrates=True)


def _serve(settings: Settings, listener: socket.socket, *, migrates: bool) -> None:
    from app.main import create_app  # noqa: PLC0415 - reads sql/: a mistake there must not stop a migration

    if migrates:
        apply_migrations(settings.migration_dsn)
    run(create_app(settings), listener, settings)


def _kept_secret_key(folder: Path) -> str:
    """The key beside the embedded server's data, made at the first start: tokens stay valid after a restart."""
    path = folder / "secret_key"
    if not path.exists():
        draft = folder / f"secret_key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        # Renamed when complete: a key that was cut off would be worse than none.
        draft.rename(path)
    return path.read_text()
