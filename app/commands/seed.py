"""`python -m app seed`: a part of the example."""

import asyncio
from dataclasses import replace
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app.db import Database
from app.security import Passwords, unusable_hash
from app.seeding.fill import NotEmpty, fill
from app.seeding.sizes import SIZES, Size, problem
from app.target import target_database


@click.command()
@click.option("--size", "preset", type=click.Choice(list(SIZES)), default="default", show_default=True)
@click.option("--users", type=click.IntRange(0, 10_000_000))
@click.option("--articles", type=click.IntRange(0, 100_000_000))
@click.option("--tags", type=click.IntRange(0, 100_000))
@click.option("--favorites", type=click.IntRange(0, 1_000_000_000))
@click.option("--comments", type=click.IntRange(0, 1_000_000_000))
@click.option("--follows", type=click.IntRange(0, 1_000_000_000))
@click.option("--password", help="Users can log in with it, as NAME@example.com; without it none can.")
@click.option("--append", is_flag=True, help="Add to a database that has users already.")
def command(preset: str, password: str | None, append: bool, **numbers: int | None) -> None:
    """Fill the database with generated data: the same data for the same size.

    \b
    size      users  articles  tags   favorites   comments    follows
    small     1,000    10,000   500     100,000     10,000     20,000
    default  10,000   100,000   500   1,000,000    100,000    200,000
    large   600,000 1,000,000   500  10,000,000  1,000,000  2,000,000

    Nothing else may write to the database meanwhile.
    Every other option replaces one number of the size. Tags, authors and
    favorites follow Zipf's law. One author has a tenth of the articles, one
    article a twentieth of the favorites, and one reader follows every twelfth
    user.

    \b
    Examples:
        python -m app seed
        python -m app seed --size large
        python -m app seed --users 50 --articles 500 --favorites 2000 --comments 900 --follows 300
    """
    size = _size(preset, numbers)
    with target_database() as dsn:
        try:
            asyncio.run(_run(dsn, size, password, append=append))
        except NotEmpty as error:
            raise click.ClickException(str(error)) from None
    shown = ", ".join(f"{getattr(size, name):,} {name}" for name in numbers)
    click.echo(f"Stored {shown}")


def _size(preset: str, numbers: dict[str, int | None]) -> Size:
    given: dict[str, Any] = {name: number for name, number in numbers.items() if number is not None}
    size = replace(SIZES[preset], **given)
    if fault := problem(size):
        raise click.UsageError(fault)
    return size


async def _run(dsn: str, size: Size, password: str | None, *, append: bool) -> None:
    columns = (
        TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn(), TextColumn("rows"),
        TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=size.rows)
        async with Database(dsn, min_size=1, max_size=1, statement_timeout=0) as db:
            await fill(
                db,
                size,
                password_hash=await _hash(password),
                append=append,
                advance=lambda what, count: progress.update(task, description=what, advance=count),
            )


async def _hash(password: str | None) -> str:
    if password is None:
        return unusable_hash()
    passwords = Passwords(1)
    try:
        return await passwords.hash(password)
    finally:
        passwords.close()
