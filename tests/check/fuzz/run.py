"""Tries the proofs on random statements: a column proved never to be null must never be, nor a second row come.

    python -m tests.check.fuzz --seed 7 --count 10000 --dsn postgresql://…/scratch

Statement n of a seed is the same in every run on servers of the same version. The statements work on a schema of their
own, which is dropped at the end; each is rolled back.
"""

import asyncio
import random
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import asyncpg
import click

from app.check.postgres.proofs.absence import Absence, prove_absences
from app.check.postgres.proofs.analysis import analysed_tree
from app.check.postgres.proofs.cardinality import prove_at_most_one
from app.check.postgres.proofs.catalog import load_catalog
from app.check.postgres.proofs.elements import prove_elements
from app.check.postgres.proofs.keys import load_keys
from app.check.postgres.proofs.nullability import prove_columns
from tests.check.fuzz.schema import create_schema
from tests.check.fuzz.sources import Relations
from tests.check.fuzz.statements import Statements

STATEMENT_TIMEOUT = "2s"


@dataclass(slots=True)
class Report:
    """What came of a run."""

    statements: int = 0
    refused: int = 0
    """How many of them the server did not run to the end: an error in the text, or one of the data."""
    columns: int = 0
    never_null: int = 0
    """How many of those columns are proved never to be null."""
    nulls: int = 0
    """How many of them were null in some row."""
    arrays: int = 0
    """How many columns had arrays, and are proved to have none with a null in it."""
    at_most_one: int = 0
    """How many statements are proved to yield at most one row."""
    absences: int = 0
    """How many columns are proved to be null only with all others of what an outer join did not find."""
    unsound: list[str] = field(default_factory=list[str])
    """What was proved and is not true, with the statement."""

    def __str__(self) -> str:
        """One line with the counts."""
        return (
            f"{self.statements} statements, {self.refused} refused; of {self.columns} columns {self.never_null} proved"
            f" never null, {self.absences} null with a missing row only and {self.arrays} arrays without nulls,"
            f" {self.nulls} seen null; {self.at_most_one} statements proved to yield one row at most;"
            f" {len(self.unsound)} proofs wrong"
        )


async def run_fuzz(connection: asyncpg.Connection, *, seed: int, count: int, first: int = 0) -> Report:
    """Try the statements `first` to `first + count` of a seed; the connection's search path is left changed."""
    name = f"bindery_fuzz_{secrets.token_hex(4)}"
    report = Report()
    try:
        relations = await create_schema(connection, name)
        await connection.execute(f"set statement_timeout = '{STATEMENT_TIMEOUT}'")
        for number, text in _statements(seed, range(first, first + count), relations, connection):
            await _try(connection, text, f"seed {seed}, statement {number}", report)
    finally:
        if not connection.is_closed():
            await connection.execute(f"drop schema if exists {name} cascade")
    return report


def _statements(
    seed: int, numbers: range, relations: Relations, connection: asyncpg.Connection
) -> Iterator[tuple[int, str]]:
    for number in numbers:
        rng = random.Random(f"{seed}/{number}")
        yield number, Statements(rng, relations, connection.get_server_version().major).statement()


async def _try(connection: asyncpg.Connection, text: str, name: str, report: Report) -> None:
    report.statements += 1
    transaction = connection.transaction()
    await transaction.start()
    try:
        rows = await connection.fetch(text)
    except asyncpg.PostgresError:
        report.refused += 1
        return
    finally:
        await transaction.rollback()
    tree = await analysed_tree(connection, text, [])
    catalog = await load_catalog(connection, tree)
    proved, absences = prove_columns(tree, catalog), prove_absences(tree, catalog)
    proved_arrays = [index for index, holds_no_null in enumerate(prove_elements(tree, catalog)) if holds_no_null]
    arrays = [index for index in proved_arrays if any(isinstance(row[index], list) for row in rows)]
    one = prove_at_most_one(tree, await load_keys(connection, tree))
    nulls = {index for row in rows for index, value in enumerate(row.values()) if value is None}
    report.columns += len(proved)
    report.never_null += sum(proved)
    report.nulls += len(nulls)
    report.arrays += len(arrays)
    report.at_most_one += one.proved
    report.absences += sum(absence is not None and absence.only for absence in absences)
    wrong = [f"column {index + 1} is null" for index in sorted(nulls) if proved[index]]
    wrong += _holding_nulls(arrays, rows)
    if one.proved and len(rows) > 1:
        wrong.append(f"there are {len(rows)} rows")
    wrong += _torn(absences, rows)
    report.unsound += [f"{name}: {fault}:\n{text}" for fault in wrong]


def _holding_nulls(arrays: Sequence[int], rows: Sequence[asyncpg.Record]) -> Iterator[str]:
    """Those of these columns, arrays that are proved to hold no null, that hold one."""
    for index in arrays:
        if any(_has_null(row[index]) for row in rows if row[index] is not None):
            yield f"column {index + 1} holds a null"


def _has_null(value: Any) -> bool:
    """Whether an array, of any number of dimensions, has a null in it."""
    return any(map(_has_null, cast("list[Any]", value))) if isinstance(value, list) else value is None


def _torn(absences: Sequence[Absence | None], rows: Sequence[asyncpg.Record]) -> Iterator[str]:
    """The groups of columns of which some row has a part although another part is missing."""
    for missing in sorted({absence.missing for absence in absences if absence}):
        group = [
            (index, absence.only) for index, absence in enumerate(absences) if absence and absence.missing == missing
        ]
        for row in rows:
            is_missing = any(only and row[index] is None for index, only in group)
            if is_missing and any(row[index] is not None for index, _ in group):
                yield f"{missing} is there in part"
                break


@click.command()
@click.option("--seed", type=int, help="Which statements; printed, and random when it is not given.")
@click.option("--count", default=1000, show_default=True, help="How many statements.")
@click.option(
    "--first", default=0, show_default=True, help="The number of the first one, to repeat one that was wrong."
)
@click.option("--dsn", help="A database to work in; without it that of PGHOST, PGDATABASE and so on.")
def main(seed: int | None, count: int, first: int, dsn: str | None) -> None:
    """Try the proofs of nullability and cardinality on random statements; exit 1 when one is wrong."""
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    report = asyncio.run(_run(dsn, chosen, count, first))
    click.echo(f"seed {chosen}: {report}")
    for fault in report.unsound:
        click.echo(f"\n{fault}", err=True)
    sys.exit(1 if report.unsound else 0)


async def _run(dsn: str | None, seed: int, count: int, first: int) -> Report:
    try:
        connection = await asyncpg.connect(dsn)
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise click.ClickException(f"cannot connect: {error}") from None
    try:
        click.echo(f"PostgreSQL {connection.get_server_version().major}")
        return await run_fuzz(connection, seed=seed, count=count, first=first)
    finally:
        await connection.close()
