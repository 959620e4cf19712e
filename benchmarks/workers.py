"""How the service scales with --workers, as requests a second over 64 connections.

    python -m benchmarks.workers --counts 1,2

The database, the load and all workers share the cores of this machine, so two workers on two cores are
not twice as fast.
"""

import asyncio
from statistics import median

import click

from app.seeding.sizes import SIZES
from benchmarks.http.__main__ import seeded
from benchmarks.http.contestants import service
from benchmarks.http.routes import routes
from benchmarks.processes import get, process
from benchmarks.wrk import wrk


@click.command(help=__doc__)
@click.option("--dsn", help="A database that `python -m app seed` filled.")
@click.option("--counts", default="1,2", show_default=True, help="Numbers of workers, separated by commas.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=3.0, show_default=True)
def main(dsn: str | None, counts: str, rounds: int, seconds: float) -> None:
    """Print rates by route and number of workers."""
    numbers = [int(each) for each in counts.split(",")]
    with seeded(dsn, SIZES["small"]) as address:
        asked = asyncio.run(routes(address))
        rates: dict[tuple[str, int], list[float]] = {(route.name, count): [] for route in asked for count in numbers}
        for _ in range(rounds):
            for count in numbers:
                with process(["app", "serve", "--workers", str(count)], service(address)) as port:
                    get(port, "/health/ready", None)
                    wrk(port, asked[0].path, 2)
                    for route in asked:
                        rates[route.name, count].append(wrk(port, route.path, seconds, route.token).rate)
    for route in asked:
        shown = ", ".join(f"{count}: {median(rates[route.name, count]):,.0f}/s" for count in numbers)
        click.echo(f"{route.name:14} {shown}")


if __name__ == "__main__":
    main()
