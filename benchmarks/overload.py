"""Overload: does the service go on answering as many requests as it can?

    python -m benchmarks.overload --seconds 60

Lists of twenty articles, asked for by more clients than can be served. "Goodput" is answers with 200 a second. The
clients are a process on the same cores, whose processor time is taken away: a rate is divided by the cores that the
clients left for the service and its database. Each overload comes between two loads of few clients, which wait for
each answer, and its ratio is to the mean of those two: the speed of a shared machine changes within minutes.
"""

import json
import os
import subprocess
import sys
import time
from statistics import mean, median
from typing import Any

import click
import psutil

from app.seeding.sizes import SIZES
from benchmarks.http.__main__ import seeded
from benchmarks.http.contestants import service
from benchmarks.processes import ROOT, get, process

PATH = "/api/articles"
FEW = (8, 16, 32)


def clients(port: int, *options: str) -> dict[str, Any]:
    """Run benchmarks.clients and return its report, with the goodput for each core that it left."""
    command = [sys.executable, "-m", "benchmarks.clients", str(port), PATH, *options]
    report: dict[str, Any] = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    report["for a core"] = report["goodput"] / ((os.cpu_count() or 1) - report["processor"])
    return report


def best_of_few(port: int) -> dict[str, Any]:
    """Return the report of the number of clients that gets the most answers: of each, the median of three runs."""
    runs = [[clients(port, "--clients", str(count), "--seconds", "2") for count in FEW] for _ in range(3)]
    medians = [median(run[each]["for a core"] for run in runs) for each in range(len(FEW))]
    best = max(range(len(FEW)), key=medians.__getitem__)
    return {**runs[-1][best], "for a core": medians[best], "goodput": median(run[best]["goodput"] for run in runs)}


def line(name: str, report: dict[str, Any], peak: float) -> str:
    """Return a row of the table."""
    refused = sum(number for status, number in report["statuses"].items() if status != "200")
    share, p50, p99 = report["for a core"] / peak, report["p50"] * 1000, report["p99"] * 1000
    return f"| {name} | {report['goodput']:,.0f} | {share:.2f} | {refused:,} | {p50:.0f} | {p99:.0f} |"


@click.command(help=__doc__)
@click.option("--dsn", help="A database that `python -m app seed` filled.")
@click.option("--seconds", default=60.0, show_default=True, help="Of each overload.")
@click.option("--clients", "number", default=2000, show_default=True, help="That wait for Retry-After when refused.")
@click.option("--settings", multiple=True, help="Of the service, as NAME=value.")
def main(dsn: str | None, seconds: float, number: int, settings: tuple[str, ...]) -> None:
    """Print one table."""
    given = dict(each.split("=", 1) for each in settings)
    with (
        seeded(dsn, SIZES["small"]) as address,
        process(["app", "serve"], {"LOG_LEVEL": "error", **service(address), **given}) as port,
    ):
        memory = next(each for each in psutil.Process().children() if "serve" in each.cmdline())
        clients(port, "--clients", "32", "--seconds", "3")
        before = memory.memory_info().rss
        few = best_of_few(port)
        click.echo("| load | goodput | share of the peak | refused | p50, ms | p99, ms |\n|---|---|---|---|---|---|")
        click.echo(line("few clients, the best number", few, few["for a core"]))
        rate = few["goodput"]
        loads = {
            "70 % of that": ["--rate", str(0.7 * rate), "--seconds", str(seconds)],
            f"{number:,} clients that wait when refused": ["--clients", str(number), "--seconds", str(seconds)],
            "twice the best rate, whatever is answered": ["--rate", str(2 * rate), "--seconds", str(seconds)],
        }
        for name, options in loads.items():
            report = clients(port, *options)
            soon = after(port)
            again = best_of_few(port)
            peak = mean((few["for a core"], again["for a core"]))
            click.echo(line(name, report, peak))
            click.echo(line("eight clients a second after it", soon, again["for a core"]))
            few = again
        grown = (memory.memory_info().rss - before) / 1e6
        get(port, "/health/ready", None)
        click.echo(f"\nThe process grew by {grown:.0f} MB.")


def after(port: int) -> dict[str, Any]:
    """Return what few clients meet a second after the end of an overload."""
    time.sleep(1)
    return clients(port, "--clients", "8", "--seconds", "3")


if __name__ == "__main__":
    main()
