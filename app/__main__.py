"""`python -m app`: serve, and everything else that people do with the service at a command line."""

import asyncio
import os
import secrets
import socket
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import click
from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.db import BinderyError, Database
from app.embedded import DEFAULT_FOLDER, EmbeddedError, EmbeddedPostgres
from app.migrations import (
    MIGRATIONS,
    MigrationError,
    apply_migrations,
    list_migrations,
    new_migration,
    rollback_migrations,
)
from app.serve import ServiceError, bind, run
from app.settings import Settings, SettingsError, load_settings
from app.signals import exit_on_signals

EXPECTED = (SettingsError, EmbeddedError, MigrationError, ServiceError, BinderyError)


class _Commands(click.Group):
    """A group whose expected errors are one message on stderr and exit code 1, and which has the checker besides."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "check"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _checker() if cmd_name == "check" else super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def main(context: click.Context) -> None:
    """Bindery: the RealWorld API over raw asyncpg. Without a command: serve.

    Settings come from the environment and from .env; .env.example lists them.
    Without DATABASE_URL an embedded PostgreSQL keeps its data in .postgres/.
    """
    exit_on_signals()
    if context.invoked_subcommand is None:
        context.invoke(serve)


@main.command()
@click.option("--migrate", "migrates", is_flag=True, help="Apply pending migrations first.")
@click.option("--reload", "reloads", is_flag=True, help="Take changes in sql/ on the next call; for development.")
def serve(migrates: bool, reloads: bool) -> None:
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
        from app.repositories import watch_sql  # noqa: PLC0415 - reads sql/: a mistake there is no other command's

        watch_sql()
    with bind(settings.host, settings.port) as listener:
        if settings.database_url is not None:
            _serve(settings, listener, migrates=migrates)
            return
        with EmbeddedPostgres(DEFAULT_FOLDER) as dsn:
            key = settings.secret_key or SecretStr(_kept_secret_key(DEFAULT_FOLDER))
            embedded = settings.model_copy(update={"database_url": SecretStr(dsn), "secret_key": key})
            _serve(embedded, listener, migrates=True)


@main.group(invoke_without_command=True)
@click.pass_context
def migrate(context: click.Context) -> None:
    """Apply pending migrations and show the state.

    \b
    Examples:
        python -m app migrate
        python -m app migrate rollback --count 2
        python -m app migrate new "add articles.language"
    """
    if context.invoked_subcommand is None:
        context.invoke(apply)


@migrate.command()
def apply() -> None:
    """Apply pending migrations and show the state (the default).

    Each is a transaction of its own. Two processes may do this at once: one
    waits for the other.

    \b
    Example:
        python -m app migrate apply
    """
    with _database() as dsn:
        apply_migrations(dsn)
        _show(dsn)


@migrate.command()
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="How many, newest first.")
@click.option("--all", "everything", is_flag=True, help="Undo all of them.")
def rollback(count: int, everything: bool) -> None:
    """Undo the newest migrations and show the state.

    \b
    Example:
        python -m app migrate rollback --count 2
    """
    with _database() as dsn:
        rollback_migrations(dsn, "all" if everything else count)
        _show(dsn)


@migrate.command("list")
def list_() -> None:
    """Show which migrations the database has.

    \b
    Example:
        python -m app migrate list
    """
    with _database() as dsn:
        _show(dsn)


@migrate.command()
@click.argument("title")
def new(title: str) -> None:
    """Create the two files of the next migration: what it does, and what undoes that.

    \b
    Example:
        python -m app migrate new "add articles.language"
    """
    for path in new_migration(title):
        click.echo(f"Created {os.path.relpath(path)}")


@main.group("import")
def import_() -> None:
    """Store what a file holds, all of it or nothing."""


@import_.command("users")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Try everything, store nothing.")
def import_users_(file: Path, dry_run: bool) -> None:
    """Store an account for each line of a CSV FILE, all of them or none.

    The header names the columns: username, email and, if wanted, password_hash
    (argon2), bio and image. Nobody can log in to an account without a hash.

    \b
    Example:
        python -m app import users people.csv --dry-run
    """
    from app.imports import ImportFailed, import_users  # noqa: PLC0415 - reads sql/: a mistake there is no other command's

    size = file.stat().st_size

    async def work(dsn: str) -> int:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(file.name, total=size)
            async with Database(dsn, min_size=1, max_size=1, statement_timeout=0) as db:
                return await import_users(db, file, dry_run=dry_run, advance=lambda read: progress.advance(task, read))

    with _database() as dsn:
        try:
            count = asyncio.run(work(dsn))
        except ImportFailed as error:
            raise click.ClickException(str(error)) from None
    click.echo(f"{count} users would be imported" if dry_run else f"{count} users imported")


def _checker() -> click.Command:
    from app.check.command import check_command  # noqa: PLC0415 - the running service has no part of the checker
    from app.check.project import Project  # noqa: PLC0415 - the running service has no part of the checker
    from app.repositories import SQL  # noqa: PLC0415 - reads sql/: a mistake there is no other command's

    return check_command(Project(_repositories, _scratch_server, apply_migrations, MIGRATIONS, SQL))


def _repositories() -> list[ModuleType]:
    package = import_module("app.repositories")
    return [import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__)]


@contextmanager
def _scratch_server() -> Generator[str]:
    # Never that of DATABASE_URL: nobody means to create a database there by checking.
    settings = load_settings(needs_secret_key=False)
    if settings.test_database_url is not None:
        yield settings.test_database_url.get_secret_value()
        return
    with EmbeddedPostgres(DEFAULT_FOLDER) as dsn:
        yield dsn


@contextmanager
def _database() -> Generator[str]:
    settings = load_settings(needs_secret_key=False)
    if settings.database_url is not None:
        yield settings.migration_dsn
        return
    with EmbeddedPostgres(DEFAULT_FOLDER) as dsn:
        yield dsn


def _serve(settings: Settings, listener: socket.socket, *, migrates: bool) -> None:
    from app.main import create_app  # noqa: PLC0415 - reads sql/: a mistake there must not stop a migration

    if migrates:
        apply_migrations(settings.migration_dsn)
    run(create_app(settings), listener, settings)


def _show(dsn: str) -> None:
    table = Table("migration", "applied (UTC)", box=None, pad_edge=False)
    for state in list_migrations(dsn):
        table.add_row(state.id, f"{state.applied_at:%Y-%m-%d %H:%M:%S}" if state.applied_at else "pending")
    Console(soft_wrap=True).print(table)


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


if __name__ == "__main__":
    main(prog_name="python -m app")
