"""The service against other stacks over the same seeded database, as requests a second over 16 connections.

    python -m benchmarks.http --rounds 5 --seconds 2

Without --dsn an embedded PostgreSQL 18 is filled with 100,000 articles, which takes half a minute. Each contestant is
one process of uvicorn on uvloop with 16 connections to the database; answers are compared before anything is timed.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click

from app.embedded import EmbeddedPostgres
from app.migrations import apply_migrations
from app.seeding.sizes import SIZES, Size
from benchmarks.contest import Contest, Ratio, report
from benchmarks.http.contestants import contestants, serves
from benchmarks.http.pgbench import pgbench
from benchmarks.http.routes import BARE, OURS, PGBENCH, Route, routes
from benchmarks.results import server_version, write_results
from benchmarks.wrk import Load, wrk

Loads = dict[str, Load]


@dataclass(frozen=True, slots=True)
class Field:
    """Where the contestants are: their ports, and the database behind all of them."""

    dsn: str
    ports: dict[str, int]

    def names(self, route: Route) -> list[str]:
        """Return who takes part in a contest for this route."""
        return [*(name for name in self.ports if serves(name, route)), PGBENCH]

    def load(self, name: str, route: Route, seconds: float) -> Load:
        """Let one contestant answer."""
        if name == PGBENCH:
            return pgbench(self.dsn, route, seconds)
        return wrk(self.ports[name], route.path, seconds, route.token)

    def rounds(self, route: Route, count: int, seconds: float) -> list[Loads]:
        """Let all answer in turn, beginning with another one each time. A first round warms up and does not count."""
        names = self.names(route)
        played: list[Loads] = []
        for number in range(count + 1):
            first = number % len(names)
            played.append({name: self.load(name, route, seconds) for name in names[first:] + names[:first]})
        return played[1:]


def play(dsn: str, rounds: int, seconds: float) -> list[Contest]:
    """Run the contests and print what came of each."""
    asked = asyncio.run(routes(dsn))
    with contestants(dsn, asked) as ports:
        return [contest(Field(dsn, ports), route, rounds, seconds) for route in asked]


def contest(field: Field, route: Route, rounds: int, seconds: float) -> Contest:
    """Run the contest for one route."""
    loads = field.rounds(route, rounds, seconds)
    ratios = [Ratio(OURS, name, route.bars.get(name)) for name in field.names(route) if name != OURS]
    rates = [{name: load.rate for name, load in round_.items()} for round_ in loads]
    played = Contest(f"GET {route.name}", {name: [] for name in field.names(route)}, ratios, rates)
    click.echo(report(played))
    click.echo(tail(loads))
    return played


def tail(loads: list[Loads]) -> str:
    """Return how long the slowest hundredth took; 3 x p50, or the bare route's p99 + 2 x p50, is the bar."""
    p50 = {name: median(round_[name].p50 for round_ in loads) for name in loads[0] if name != PGBENCH}
    p99 = {name: median(round_[name].p99 for round_ in loads) for name in p50}
    wanted = max(3 * p50[OURS], p99[BARE] + 2 * p50[OURS])
    shown = ", ".join(f"{name} {p50[name]:.2f}/{p99[name]:.2f}" for name in p50)
    return f"  p50/p99 in ms: {shown}; bar {wanted:.2f} {'reached' if p99[OURS] <= wanted else 'MISSED'}"


@contextmanager
def seeded(dsn: str | None, size: Size) -> Generator[str]:
    """Yield the address of a seeded database: the given one, or one that is made for the run."""
    if dsn is not None:
        yield dsn
        return
    with tempfile.TemporaryDirectory(prefix="bindery-") as folder, EmbeddedPostgres(Path(folder), keep=False) as made:
        apply_migrations(made)
        subprocess.run(
            [sys.executable, "-m", "app", "seed", *options(size)], env={**os.environ, "DATABASE_URL": made}, check=True
        )
        yield made


def options(size: Size) -> list[str]:
    """Return the options of `python -m app seed` for this size."""
    names = ("users", "articles", "tags", "favorites", "comments", "follows")
    return [f"--{name}={getattr(size, name)}" for name in names]


@click.command(help=__doc__)
@click.option("--dsn", help="A database that `python -m app seed` filled.")
@click.option("--size", type=click.Choice(list(SIZES)), default="default", show_default=True)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="How often each contestant runs.")
@click.option("--seconds", default=2.0, show_default=True, help="How long it runs each time, in whole seconds.")
@click.option("--json", "results", type=click.Path(dir_okay=False, path_type=Path), help="Write the results there too.")
def main(dsn: str | None, size: str, rounds: int, seconds: float, results: Path | None) -> None:
    """Print rates, ratios and times."""
    with seeded(dsn, SIZES[size]) as address:
        played = play(address, rounds, seconds)
        if results:
            write_results(results, server_version(address), played)


if __name__ == "__main__":
    main()
