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
SHORT = {
    "layer": ["pool", "transactions", "binding", "peers", "--rounds", "5", "--seconds", "0.25"],
    "http": ["--rounds", "3", "--seconds", "1"],
}
LONG = {
    "layer": ["pool", "transactions", "binding", "peers", "--rounds", "7", "--seconds", "0.3"],
    "http": ["--rounds", "5", "--seconds", "2"],
    "techempower": ["--rounds", "5", "--seconds", "2"],
    "growth": [],
    "workers": [],
    "footprint": [],
}
WITHOUT_JSON = {"workers", "footprint"}


@click.command(help=__doc__)
@click.option("--all", "everything", is_flag=True, help="Also those that take long.")
def main(everything: bool) -> None:
    """Run them one after the other."""
    RESULTS.mkdir(exist_ok=True)
    for name, options in (LONG if everything else SHORT).items():
        if find_spec(f"benchmarks.{name}") is not None:
            click.secho(f"== {name}", bold=True)
            results = [] if name in WITHOUT_JSON else ["--json", str(RESULTS / f"{name}.json")]
            run(name, *options, *results)
    shown = [str(path) for path in (RESULTS / "http.json", RESULTS / "layer.json") if path.exists()]
    run("chart", shown[0], "--output", str(CHART))
    if (CHART.parent / "performance.md").exists():
        run("tables")


def run(name: str, *options: str) -> None:
    """Run one program; when it fails so does this one."""
    done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=False)
    if done.returncode:
        raise click.ClickException(f"benchmarks.{name} failed; its message is above")


if __name__ == "__main__":
    main()
