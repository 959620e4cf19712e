"""Let servers, networks and processes fail under load, and compare what clients were told with what is stored.

    python -m tests.faults --rounds 5 --seed 1

Everything runs on this machine on ports of its own, and ends with the program. It fails if anything was lost, doubled,
hung or wrong.
"""

import asyncio
import random
import secrets
import sys
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.db.pools import most_within_a_second
from tests.faults.kinds import KINDS, NEEDS, Setting
from tests.faults.ledger import Audit, Ledger
from tests.faults.servers import Server

COLUMNS = (
    "requests", "acknowledged", "unknown", "lost", "doubled", "hung", "wrong", "longest request", "back after",
    # How many sessions a server let in within a second, at most.
    "connects/s",
)  # fmt: skip


async def run_kind(name: str, rounds: int, seed: int, workers: int = 1) -> tuple[Ledger, Audit]:
    """Make the rounds of one kind on servers of its own, and audit them."""
    ledger, folder = Ledger(), Path(tempfile.mkdtemp(prefix="bindery-faults-"))
    servers: list[Server] = []
    try:
        setting = Setting(folder, rounds, random.Random(f"{name} {seed}"), servers, workers)
        dsn = await KINDS[name](setting, ledger)
        ledger.connects = max(most_within_a_second(server.connects()) for server in servers)
        return ledger, await ledger.audit(dsn)
    finally:
        for server in servers:
            await server.remove()
        folder.rmdir()


def row(ledger: Ledger, audit: Audit) -> list[str]:
    """Return the figures in the order of COLUMNS."""
    numbers = (
        ledger.requests(), len(ledger.acknowledged), len(ledger.unknown), len(audit.lost), len(audit.doubled),
        ledger.hung, len(ledger.wrong) + len(audit.refused_but_stored),
    )  # fmt: skip
    back = f"{max(ledger.recovered):.2f} s" if ledger.recovered else ""
    return [*(f"{number:,}" for number in numbers), f"{ledger.longest:.2f} s", back, str(ledger.connects)]


def complaints(ledger: Ledger, audit: Audit) -> list[str]:
    """Return what is not as it was promised, in words."""
    found = [f"acknowledged and lost: {title}" for title in audit.lost]
    found += [f"stored twice: {title}" for title in audit.doubled]
    found += [f"refused and stored: {title}" for title in audit.refused_but_stored]
    found += ledger.wrong
    return [*found, f"{ledger.hung} requests without an answer"] if ledger.hung else found


def possible(names: tuple[str, ...]) -> list[str]:
    """Return the kinds that this machine can make; a line says of each other one what is missing."""
    missing = {name: NEEDS[name] for name in names if name in NEEDS and not NEEDS[name].exists()}
    for name, program in missing.items():
        click.echo(f"{name} is left out: {program} is missing; `make debian-packages` installs it", err=True)
    return [name for name in names if name not in missing]


@click.command(help=__doc__)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Of each kind.")
@click.option("--seed", type=int, help="Decides when what fails; default: any, which is printed.")
@click.option("--only", multiple=True, type=click.Choice(list(KINDS)), help="A kind of faults; may be repeated.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="How many processes serve.")
def main(rounds: int, seed: int | None, only: tuple[str, ...], workers: int) -> None:
    """Print a table with a line for each kind."""
    seed = secrets.randbelow(10**6) if seed is None else seed
    table, failed = Table("fault", *COLUMNS, title=f"{rounds} rounds of each, seed {seed}, {workers} workers"), False
    for name in possible(only or tuple(KINDS)):
        click.echo(f"{name} …", err=True)
        ledger, audit = asyncio.run(run_kind(name, rounds, seed, workers))
        table.add_row(name, *row(ledger, audit))
        for complaint in complaints(ledger, audit):
            failed = True
            click.echo(f"{name}: {complaint}", err=True)
    Console(width=160).print(table)
    sys.exit(failed)


if __name__ == "__main__":
    main()
