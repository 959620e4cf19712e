"""What the layer costs, as ratios to asyncpg alone.

    python -m benchmarks.layer --rounds 15 --seconds 0.5

An embedded PostgreSQL 18 answers over its Unix socket. PARTS are pool, transactions and binding, which are played if
none is given, and peers: against aiosql, psycopg 3 with its pool, SQLAlchemy 2 Core and ORM, at concurrency 1, 16 and
64. `make bench` installs the packages of peers and plays that part.
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
from benchmarks.peers import contests as peers
from benchmarks.results import server_version, write_results

Contests = Callable[[str, Path], AbstractAsyncContextManager[list[Contest]]]
PARTS: dict[str, Contests] = {
    "pool": pool.contests,
    "transactions": transactions.contests,
    "binding": binding.contests,
    "peers": peers.contests,
}
# Those that need no package beyond the tests'.
OWN = ("pool", "transactions", "binding")


async def run(parts: list[Contests], dsn: str, folder: Path, rounds: int, seconds: float) -> list[Contest]:
    """Play the contests of these parts on this server, print what came of each, and return all."""
    played: list[Contest] = []
    for part in parts:
        async with part(dsn, folder) as contests:
            for contest in contests:
                await contest.play(rounds, seconds)
                click.echo(report(contest))
                played.append(contest)
    return played


@click.command(help=__doc__)
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--rounds", default=15, show_default=True, type=click.IntRange(1), help="How often each contestant runs.")
@click.option("--seconds", default=0.5, show_default=True, help="How long it runs each time.")
@click.option("--json", "results", type=click.Path(dir_okay=False, path_type=Path), help="Write the results there too.")
def main(parts: tuple[str, ...], rounds: int, seconds: float, results: Path | None) -> None:
    """Print rates and ratios."""
    chosen = [PARTS[part] for part in parts or OWN]
    with tempfile.TemporaryDirectory(prefix="bindery-") as name:
        folder = Path(name)
        with EmbeddedPostgres(folder / "postgres", keep=False) as dsn:
            played = uvloop.run(run(chosen, dsn, folder, rounds, seconds))
            if results:
                write_results(results, server_version(dsn), played)


if __name__ == "__main__":
    main()
