"""The six tests of TechEmpower, by a service on this layer and by one on asyncpg alone, over 16 connections.

    python -m benchmarks.techempower --rounds 5 --seconds 2

An embedded PostgreSQL 18 serves both. Each is verified by the rules of the tests before anything is timed.
"""

import asyncio
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import psycopg

from app.embedded import EmbeddedPostgres
from benchmarks.contest import Contest, Ratio, report
from benchmarks.processes import process
from benchmarks.results import server_version, write_results
from benchmarks.techempower.data import create
from benchmarks.techempower.verify import check_reads, verify
from benchmarks.wrk import wrk

OURS, PLAIN = "this layer", "asyncpg.Pool"
MODULES = {OURS: "benchmarks.techempower.service", PLAIN: "benchmarks.techempower.plain"}
TESTS = {
    "json": ("/json", None), "plaintext": ("/plaintext", None), "single query": ("/db", 1.05),
    "20 queries": ("/queries?queries=20", 0.95), "fortunes": ("/fortunes", 1.05),
    "20 updates": ("/updates?queries=20", 0.95),
}  # fmt: skip


READS = "select idx_scan from pg_stat_user_indexes where indexrelname = 'world_pkey'"


@contextmanager
def services(dsn: str) -> Generator[dict[str, int]]:
    """Yield the ports of both, which keep the rules. Raises Broken when one does not."""
    with ExitStack() as running, psycopg.connect(dsn, autocommit=True) as connection:

        def numbers() -> dict[int, int]:
            return dict(connection.execute("select id, randomnumber from world").fetchall())

        def reads() -> int:
            row = connection.execute(READS).fetchone()
            return row[0] if row else 0

        ports: dict[str, int] = {}
        for name, module in MODULES.items():
            ports[name] = running.enter_context(process([module], {"DATABASE_URL": dsn}))
            check_reads(ports[name], reads)
        for port in ports.values():
            verify(port, numbers)
        yield ports


def play(dsn: str, rounds: int, seconds: float) -> list[Contest]:
    """Run the six contests and print what came of each."""
    played: list[Contest] = []
    with services(dsn) as ports:
        for what, (path, bar) in TESTS.items():
            contest = Contest(what, {name: [] for name in ports}, [Ratio(OURS, PLAIN, bar)])
            for number in range(rounds + 1):
                names = list(ports) if number % 2 else list(reversed(ports))
                rates = {name: wrk(ports[name], path, seconds if number else 1).rate for name in names}
                if number:
                    contest.rounds.append(rates)
            click.echo(report(contest))
            played.append(contest)
    return played


@click.command(help=__doc__)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="How often each service runs.")
@click.option("--seconds", default=2.0, show_default=True, help="How long it runs each time, in whole seconds.")
@click.option("--json", "results", type=click.Path(dir_okay=False, path_type=Path), help="Write the results there too.")
def main(rounds: int, seconds: float, results: Path | None) -> None:
    """Print rates and ratios."""
    with tempfile.TemporaryDirectory(prefix="bindery-") as folder, EmbeddedPostgres(Path(folder), keep=False) as dsn:
        asyncio.run(create(dsn))
        played = play(dsn, rounds, seconds)
        if results:
            write_results(results, server_version(dsn), played)


if __name__ == "__main__":
    main()
