"""Runs the benchmarks that are there, writes their results, and draws the chart that the README shows.

    python -m benchmarks            the layer against other stacks, and the service against others: ten minutes
    python -m benchmarks --all      and growth, workers, footprint and the outside contest: 45 minutes

Each is a program of its own, too: python -m benchmarks.NAME --help.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import click

RESULTS = Path(__file__).parent / "results"
CHART = Path(__file__).parents[1] / "docs" / "benchmarks.svg"
OWN, PEERS = ["pool", "transactions", "binding"], ["peers"]
Run = tuple[str, str, list[str]]
# The name of the results, the program, and its options.
SHORT: tuple[Run, ...] = (
    ("layer", "layer", [*OWN, "--rounds", "5", "--seconds", "0.2"]),
    ("peers", "layer", [*PEERS, "--rounds", "5", "--seconds", "0.2"]),
    ("http", "http", ["--rounds", "3", "--seconds", "1"]),
)
LONG: tuple[Run, ...] = (
    ("layer", "layer", [*OWN, "--rounds", "9", "--seconds", "0.3"]),
    ("peers", "layer", [*PEERS, "--rounds", "7", "--seconds", "0.3"]),
    ("http", "http", ["--rounds", "5", "--seconds", "2"]),
    ("techempower", "techempower", ["--rounds", "5", "--seconds", "2"]),
    ("growth", "growth", []),
    ("workers", "workers", []),
    ("footprint", "footprint", []),
)
WITHOUT_JSON = {"workers", "footprint"}


@click.command(help=__doc__)
@click.option("--all", "everything", is_flag=True, help="Also those that take long.")
def main(everything: bool) -> None:
    """Run them one after the other."""
    RESULTS.mkdir(exist_ok=True)
    for name, program, options in LONG if everything else SHORT:
        if find_spec(f"benchmarks.{program}") is not None:
            click.secho(f"== {name}", bold=True)
            results = [] if name in WITHOUT_JSON else ["--json", str(RESULTS / f"{name}.json")]
            run(program, *options, *results)
    shown = [str(path) for path in (RESULTS / "http.json", RESULTS / "peers.json") if path.exists()]
    run("chart", shown[0], "--title", "Operations a second", "--output", str(CHART))
    if (CHART.parent / "performance.md").exists():
        run("tables")


def run(name: str, *options: str) -> None:
    """Run one program; when it fails so does this one."""
    done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=False)
    if done.returncode:
        raise click.ClickException(f"benchmarks.{name} failed; its message is above")


if __name__ == "__main__":
    main()
