"""`python -m app serve`."""

import asyncio
import logging
import os
import secrets
import socket
from functools import partial
from pathlib import Path

import click
from pydantic import SecretStr

from app.db import BinderyError, Database
from app.embedded import DEFAULT_FOLDER, EmbeddedPostgres
from app.logs import configure_logs
from app.repositories import watch_sql
from app.serve import bind, run
from app.settings import Settings, load_settings
from app.workers import run_workers

logger = logging.getLogger("app.serve")

CONNECTIONS = """
    select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true), '0')::int
"""


@click.command()
@click.option("--migrate", "migrates", is_flag=True, help="Apply pending migrations first.")
@click.option("--reload", "reloads", is_flag=True, help="Take changes in sql/ on the next call; for development.")
@click.option(
    "--workers", type=click.IntRange(1, 512), help="Processes that serve the port (default: the setting WORKERS)."
)
def command(migrates: bool, reloads: bool, workers: int | None) -> None:
    """Run the service until Ctrl-C or SIGTERM.

    The embedded PostgreSQL starts, is migrated and stops with the service.
    The database of DATABASE_URL is migrated only with --migrate: until it is,
    /health/ready names what is pending.

    With several workers the sizes of the pool and the limits of connections
    are those of all together. A worker that crashes is replaced.

    With --reload an SQL file that is broken is logged, and its last good
    statements stay. Python files are read once.

    \b
    Example:
        PORT=8080 python -m app serve --migrate
    """
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    serves = partial(_serve, reloads=reloads, workers=workers or settings.workers)
    with bind(settings.host, settings.port) as listener:
        if settings.database_url is not None:
            serves(settings, listener, migrates=migrates)
            return
        with EmbeddedPostgres(DEFAULT_FOLDER) as dsn:
            key = settings.secret_key or SecretStr(_kept_secret_key(DEFAULT_FOLDER))
            embedded = settings.model_copy(
                update={
                    "database_url": SecretStr(_embedded_login(dsn, reloads=reloads)),
                    "secret_key": key,
                    "environment": settings.environment or "development",
                }
            )
            serves(embedded, listener, migrates=False)


def _serve(settings: Settings, listener: socket.socket, *, migrates: bool, reloads: bool, workers: int) -> None:
    if migrates:
        from app.migrations import apply_migrations  # noqa: PLC0415 - imports psycopg, which nothing else here needs

        apply_migrations(settings.migration_dsn)
        if settings.migration_database_url is not None:
            from app.roles.migrated import grant_after_migration  # noqa: PLC0415 - the checker, which serves nothing

            grant_after_migration(settings.service_dsn, settings.migration_dsn)
    _warn_of_too_many_connections(settings)
    if workers > 1:
        run_workers(listener, settings, workers, reloads=reloads)
        return
    from app.main import create_app  # noqa: PLC0415 - reads sql/: a mistake there must not stop a migration

    if reloads:
        watch_sql()
    app = create_app(settings)
    run(app, listener, settings, on_stop=app.state.telemetry.stop, admission=app.state.admission)


def _embedded_login(dsn: str, *, reloads: bool) -> str:
    """Migrate the embedded database as its owner, and return the DSN that the service has.

    With --reload it is the owner's: a statement that was just changed may need rights that the application has not.
    """
    from app.roles.migrated import login_as, set_up_embedded  # noqa: PLC0415 - the checker, which serves nothing

    names, outcome = set_up_embedded(dsn)
    for name, reason in outcome.refused.items():
        logger.warning("%s does not fit the database, and its rights are not known: %s", name, reason)
    return login_as(dsn, names.owner if reloads else names.application)


def _warn_of_too_many_connections(settings: Settings) -> None:
    wanted = settings.db_pool_size + settings.db_max_overflow
    admitted = None if settings.db_pgbouncer else asyncio.run(_admitted(settings.service_dsn))
    if admitted is not None and wanted > admitted:
        logger.warning(
            "DB_POOL_SIZE + DB_MAX_OVERFLOW: are %d, but the server admits %d connections of all its users: requests"
            " will fail under load; choose less, or raise max_connections of the server", wanted, admitted,
        )  # fmt: skip


async def _admitted(dsn: str) -> int | None:
    """Return how many connections the server admits; None if it cannot be asked, which the start will explain."""
    try:
        async with Database(dsn, min_size=1, max_size=1) as db:
            return await db.fetchval(CONNECTIONS)
    except BinderyError:
        return None


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
