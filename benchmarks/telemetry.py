"""What it costs to see inside: processor time of the service for a request, with more and more that is measured.

    python -m benchmarks.telemetry

All variants serve the same database in turns, each round by new processes. The figures are microseconds of the
service's own process, which the kernel counts, and in brackets the ratio to the first line, round by round.
"""

import asyncio
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from statistics import median

import click
import psutil

from app.seeding.sizes import SIZES
from benchmarks.http.__main__ import seeded
from benchmarks.http.contestants import service
from benchmarks.http.routes import Route, routes
from benchmarks.processes import ROOT, await_answer, free_port
from benchmarks.wrk import wrk

SHOWN = ("profile", "article")
NO_LOGS = {"LOG_LEVEL": "warning", "ENVIRONMENT": "production"}
LOGS = {"LOG_LEVEL": "info", "LOG_FORMAT": "json", "ENVIRONMENT": "production"}
# A collector that is not there: what is measured is making and encoding spans, not the network.
TRACES = {"TRACES": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
VARIANTS: dict[str, tuple[str, dict[str, str]]] = {
    "nothing": ("benchmarks.unwatched", NO_LOGS),
    "metrics": ("app", NO_LOGS),
    "+ logs as in production": ("app", LOGS),
    "+ a line for each request": ("app", {**LOGS, "LOG_SHARE": "1"}),
    "+ traces of one in a hundred": (
        "app", {**LOGS, **TRACES, "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
    ),
    "+ traces of all": ("app", {**LOGS, **TRACES}),
}  # fmt: skip


@contextmanager
def serving(module: str, settings: dict[str, str]) -> Generator[tuple[psutil.Process, int]]:
    """Run a variant, its log written to nowhere. Yield its process and its port."""
    port = free_port()
    command = [sys.executable, "-m", module, *([str(port)] if module != "app" else ["serve"])]
    environment = {**psutil.Process().environ(), **settings, "PORT": str(port)}
    running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await_answer(running, port, module)
        yield psutil.Process(running.pid), port
    finally:
        running.terminate()
        running.wait()


def microseconds(process: psutil.Process, port: int, route: Route, seconds: float) -> float:
    """Return the processor time of a request under load, in microseconds."""
    before = process.cpu_times()
    load = wrk(port, route.path, seconds, route.token)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) * 1e6 / (load.rate * seconds)


@click.command(help=__doc__)
@click.option("--dsn", help="A database that `python -m app seed` filled.")
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=2.0, show_default=True)
def main(dsn: str | None, rounds: int, seconds: float) -> None:
    """Print one table."""
    with seeded(dsn, SIZES["small"]) as address:
        asked = [route for route in asyncio.run(routes(address)) if route.name in SHOWN]
        found: dict[tuple[str, str], list[float]] = {}
        names = list(VARIANTS)
        for number in range(rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                for route, time in measured(name, address, asked, seconds):
                    found.setdefault((name, route), []).append(time)
        click.echo(f"| microseconds | {' | '.join(SHOWN)} |\n|---|{'---|' * len(SHOWN)}")
        for name in names:
            cells = [f"{median(found[name, route]):.0f} ({ratio(found, name, route):.2f})" for route in SHOWN]
            click.echo(f"| {name} | {' | '.join(cells)} |")


def measured(name: str, address: str, asked: list[Route], seconds: float) -> list[tuple[str, float]]:
    """Return the processor time of each route in a process of its own: two of the same program differ by a tenth."""
    module, settings = VARIANTS[name]
    with serving(module, {**service(address), **settings}) as (process, port):
        for route in asked:
            # Prepares the statements.
            wrk(port, route.path, 1, route.token)
        return [(route.name, microseconds(process, port, route, seconds)) for route in asked]


def ratio(found: dict[tuple[str, str], list[float]], name: str, route: str) -> float:
    """Return the median of the ratios to the service that measures nothing, each of one round."""
    rounds = zip(found[name, route], found["nothing", route], strict=True)
    return median(time / baseline for time, baseline in rounds)


if __name__ == "__main__":
    main()
