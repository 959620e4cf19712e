"""What the service takes to be there: time until it answers, memory, and what is imported.

    python -m benchmarks.footprint

Memory is what the kernel counts as resident for the process, idle with a pool of 10 and after a load of all reads.
"""

import asyncio
import subprocess
import sys
import time
from statistics import median

import click
import psutil

from app.seeding.sizes import SIZES
from benchmarks.http.__main__ import seeded
from benchmarks.http.contestants import service
from benchmarks.http.routes import routes
from benchmarks.processes import ROOT, get, process
from benchmarks.wrk import wrk

# Packages that serving needs no part of.
UNNEEDED = ("psycopg", "yoyo", "app.check", "app.scaffold", "app.seeding")


CODE = """
import sys, time
begin = time.perf_counter()
import app.commands.serve, app.main
print((time.perf_counter() - begin) * 1000, *sys.modules)
"""


def imported() -> tuple[float, list[str]]:
    """Return how many milliseconds the imports of the service take, and which unneeded packages are among them."""
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    milliseconds, *modules = done.stdout.split()
    found = [name for name in UNNEEDED if any(f"{module}.".startswith(f"{name}.") for module in modules)]
    return float(milliseconds), found


def megabytes(port: int) -> float:
    """Return the resident memory of the process that listens on this port."""
    found = psutil.net_connections("tcp")
    (pid,) = {each.pid for each in found if each.status == "LISTEN" and tuple(each.laddr)[1:] == (port,)}
    return psutil.Process(pid).memory_info().rss / 2**20


@click.command(help=__doc__)
@click.option("--dsn", help="A database that `python -m app seed` filled.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
def main(dsn: str | None, rounds: int) -> None:
    """Print the figures."""
    times, unneeded = zip(*(imported() for _ in range(rounds)), strict=True)
    click.echo(f"imports: {median(times):.0f} ms; unneeded: {', '.join(unneeded[0]) or 'none'}")
    with seeded(dsn, SIZES["small"]) as address:
        settings = {**service(address), "DB_POOL_SIZE": "10"}
        starts: list[float] = []
        for _ in range(rounds):
            begin = time.monotonic()
            with process(["app", "serve"], settings) as port:
                get(port, "/health/ready", None)
                starts.append(time.monotonic() - begin)
        click.echo(f"start until /health/ready answers: {median(starts) * 1000:.0f} ms")
        with process(["app", "serve"], settings) as port:
            get(port, "/health/ready", None)
            time.sleep(2)
            click.echo(f"memory idle with a pool of 10: {megabytes(port):.1f} MB")
            for route in asyncio.run(routes(address)):
                wrk(port, route.path, 2, route.token)
            click.echo(f"memory after load: {megabytes(port):.1f} MB")


if __name__ == "__main__":
    main()
