"""What the layer costs, as ratios to asyncpg alone.

    python -m benchmarks.layer --rounds 15 --seconds 0.5

An embedded PostgreSQL 18 answers over its Unix socket. PARTS are pool, transactions and binding; all of them if none is
given.
"""

import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import click
import uvloop

from app.embedded import EmbeddedPostgres
from benchmarks import binding, pool, transactions
from benchmarks.contest import Contest, report

Contests = Callable[[str, Path], AbstractAsyncContextManager[list[Contest]]]
PARTS: dict[str, Contests] = {
    "pool": pool.contests,
    "transactions": transactions.contests,
    "binding": binding.contests,
}


async def run(parts: list[Contests], dsn: str, folder: Path, rounds: int, seconds: float) -> None:
    """Play the contests of these parts on this server, and print what came of each."""
    for part in parts:
        async with part(dsn, folder) as contests:
            for contest in contests:
                await contest.play(rounds, seconds)
                click.echo(report(contest))


@click.command(help=__doc__)
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(1), help="How often each contestant runs.")
@click.option("--seconds", default=0.5, show_default=True, help="How long it runs each time.")
def main(parts: tuple[str, ...], rounds: int, seconds: float) -> None:
    """Print rates and ratios."""
    chosen = [PARTS[part] for part in parts or PARTS]
    with tempfile.TemporaryDirectory(prefix="bindery-") as name:
        folder = Path(name)
        with EmbeddedPostgres(folder / "postgres", keep=False) as dsn:
            uvloop.run(run(chosen, dsn, folder, rounds, seconds))


if __name__ == "__main__":
    main()
