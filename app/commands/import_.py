"""`python -m app import`: a part of the example."""

import asyncio
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from app.db import Database
from app.imports import ImportFailed, import_users
from app.target import target_database


@click.group("import")
def command() -> None:
    """Store what a file holds, all of it or nothing."""


@command.command("users")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Try everything, store nothing.")
def import_users_(file: Path, dry_run: bool) -> None:
    """Store an account for each line of a CSV FILE, all of them or none.

    The header names the columns: username, email and, if wanted, password_hash
    (argon2), bio and image. An account without a hash does not allow a login.

    \b
    Example:
        python -m app import users people.csv --dry-run
    """
    size = file.stat().st_size

    async def work(dsn: str) -> int:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(file.name, total=size)
            async with Database(dsn, min_size=1, max_size=1, statement_timeout=0) as db:
                return await import_users(db, file, dry_run=dry_run, advance=lambda read: progress.advance(task, read))

    with target_database() as dsn:
        try:
            count = asyncio.run(work(dsn))
        except ImportFailed as error:
            raise click.ClickException(str(error)) from None
    click.echo(f"{count} users would be imported" if dry_run else f"{count} users imported")
