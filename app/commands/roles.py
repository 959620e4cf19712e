"""`python -m app roles`."""

import asyncio
import os
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from app.roles.attributes import Limits
from app.roles.migrated import database_of, login_as, service_statements, set_up_and_migrate
from app.roles.names import KINDS, RoleNames, RolesError
from app.roles.setup import Outcome, Plan, set_up
from app.target import target_database

_MEANING = {
    "owner": "runs migrations; owns the database, its schema and what is in it",
    "application": "what the service connects as: the rights that its statements need",
    "reader": "reads what is not secret, in read-only transactions with limits",
    "monitor": "sees sessions and statistics (pg_monitor), no table",
}
_SHOWN = 3


@click.command()
@click.option("--prefix", help="What the names of the roles begin with (default: the name of the database).")
@click.option("--migrate", "migrates", is_flag=True, help="Apply pending migrations, as the owner.")
@click.option("--rotate", type=click.Choice(KINDS), multiple=True, help="Give this role a new random password.")
@click.option(
    "--password", "given", metavar="ROLE=VARIABLE", multiple=True, help="Give it the password in this variable."
)
@click.option(
    "--password-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the application's new password here, for DB_PASSWORD_FILE.",
)
@click.option("--keep", is_flag=True, help="Take no right away: an older release still needs them.")
@click.option("--reader-timeout", type=click.IntRange(1, 86_400), default=30, show_default=True, help="Seconds.")
@click.option("--reader-connections", type=click.IntRange(1, 10_000), default=5, show_default=True)
@click.option("--dry-run", is_flag=True, help="Print the SQL and change nothing.")
def command(
    *, prefix: str | None, migrates: bool, rotate: tuple[str, ...], given: tuple[str, ...], password_file: Path | None,
    keep: bool, reader_timeout: int, reader_connections: int, dry_run: bool,
) -> None:  # fmt: skip
    """Create the four roles of the database, or correct them.

    The owner runs migrations, the application is what the service connects as,
    the reader reads reports, the monitor watches. The application gets the
    rights that the statements in sql/ need, column by column, and no others.
    A second run changes nothing.

    The login is that of MIGRATION_DATABASE_URL or DATABASE_URL: a superuser,
    or one that may create roles and owns the database. A new role gets a
    random password, which is shown once.

    \b
    Examples:
        python -m app roles --dry-run
        python -m app roles --migrate
        python -m app roles --rotate application --password-file /run/secrets/database
    """
    if dry_run and (migrates or password_file):
        raise click.UsageError("--dry-run changes nothing: it goes with neither --migrate nor --password-file.")
    with target_database() as dsn:
        try:
            plan = Plan(
                RoleNames(database_of(dsn) if prefix is None else prefix), service_statements(),
                Limits(reader_timeout, connections=reader_connections),
                frozenset(rotate), _passwords(given), revokes=not keep, dry_run=dry_run,
            )  # fmt: skip
            outcome = set_up_and_migrate(dsn, plan) if migrates else asyncio.run(set_up(dsn, plan))
        except RolesError as error:
            raise click.ClickException(str(error)) from None
        _show(dsn, plan, outcome, password_file)


def _passwords(given: tuple[str, ...]) -> dict[str, str]:
    """Return the passwords in the variables that `role=VARIABLE` names."""
    found: dict[str, str] = {}
    for text in given:
        kind, _, variable = text.partition("=")
        if kind not in KINDS or not os.environ.get(variable):
            raise click.UsageError(
                f"--password {text}: allowed: ROLE=VARIABLE, with a role of {', '.join(KINDS)}"
                " and the name of a variable that holds its password."
            )
        found[kind] = os.environ[variable]
    return found


def _show(dsn: str, plan: Plan, outcome: Outcome, password_file: Path | None) -> None:
    for statement in outcome.statements:
        click.echo(f"{statement};")
    if not plan.dry_run:
        _show_roles(plan.names)
        click.echo(f"{len(outcome.statements)} changes" if outcome.statements else "Nothing to change: all is right.")
        _show_passwords(dsn, plan.names, outcome.passwords, password_file)
    if outcome.refused:
        raise click.ClickException(_refused(outcome.refused))


def _show_roles(names: RoleNames) -> None:
    table = Table("role", "what it may do", box=None, pad_edge=False)
    for kind in KINDS:
        table.add_row(names.of(kind), _MEANING[kind])
    Console(soft_wrap=True, highlight=False).print(table)


def _show_passwords(dsn: str, names: RoleNames, passwords: dict[str, str], password_file: Path | None) -> None:
    if password_file is not None and (password := passwords.get("application")):
        _write_secret(password_file, password)
        click.echo(f"The new password of {names.application} is in {password_file}")
        passwords = {kind: text for kind, text in passwords.items() if kind != "application"}
    if passwords:
        click.echo("New passwords, shown this once:")
        for kind, password in passwords.items():
            click.echo(f"  {login_as(dsn, names.of(kind), password)}")


def _write_secret(path: Path, password: str) -> None:
    """Write a file that only its owner reads, and that no one ever sees half written."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        draft.touch(mode=0o600)
        draft.write_text(f"{password}\n", encoding="utf-8")
        draft.rename(path)
    except OSError as error:
        raise click.ClickException(
            f"the password is set, but {path} cannot be written: {error.strerror}; mend that, and rotate again"
        ) from None


def _refused(refused: dict[str, str]) -> str:
    named = "\n".join(f"  {name}: {reason}" for name, reason in list(refused.items())[:_SHOWN])
    return (
        f"the roles are there, but {len(refused)} statements do not fit the database, so that their rights are not"
        f" known:\n{named}\nIf migrations are pending, apply them as the owner and repeat this, or add --migrate."
    )
