"""`python -m app migrate`."""

import os

import click
from rich.console import Console
from rich.table import Table

from app.migrations import apply_migrations, list_migrations, new_migration, rollback_migrations
from app.settings import load_settings
from app.target import target_database


@click.group(invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Apply pending migrations and show the state.

    \b
    Examples:
        python -m app migrate
        python -m app migrate rollback --count 2
        python -m app migrate new "add articles.language"
    """
    if context.invoked_subcommand is None:
        context.invoke(apply)


@command.command()
def apply() -> None:
    """Apply pending migrations and show the state (the default).

    Each is a transaction of its own. Two processes may do this at once: one
    waits for the other. Where python -m app roles made the roles, the
    application then gets the rights that this release needs.

    \b
    Example:
        python -m app migrate apply
    """
    with target_database() as dsn:
        apply_migrations(dsn)
        _show(dsn)
    _give_rights()


@command.command()
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="How many, newest first.")
@click.option("--all", "everything", is_flag=True, help="Undo all of them.")
def rollback(count: int, everything: bool) -> None:
    """Undo the newest migrations and show the state.

    \b
    Example:
        python -m app migrate rollback --count 2
    """
    with target_database() as dsn:
        rollback_migrations(dsn, "all" if everything else count)
        _show(dsn)


@command.command("list")
def list_() -> None:
    """Show which migrations the database has.

    \b
    Example:
        python -m app migrate list
    """
    with target_database() as dsn:
        _show(dsn)


@command.command()
@click.argument("title")
def new(title: str) -> None:
    """Create the two files of the next migration: what it does, and what undoes that.

    \b
    Example:
        python -m app migrate new "add articles.language"
    """
    for path in new_migration(title):
        click.echo(f"Created {os.path.relpath(path)}")


def _give_rights() -> None:
    settings = load_settings(needs_secret_key=False)
    if settings.migration_database_url is None or settings.database_url is None:
        return
    from app.roles.migrated import grant_after_migration  # noqa: PLC0415 - reads sql/: no mistake may stop a migration

    for statement in grant_after_migration(settings.service_dsn, settings.migration_dsn):
        click.echo(f"{statement};")


def _show(dsn: str) -> None:
    table = Table("migration", "applied (UTC)", box=None, pad_edge=False)
    for state in list_migrations(dsn):
        table.add_row(state.id, f"{state.applied_at:%Y-%m-%d %H:%M:%S}" if state.applied_at else "pending")
    Console(soft_wrap=True).print(table)
