"""Writes the results of the benchmarks into docs/performance.md, as tables after the comments that name them.

python -m benchmarks.tables
"""

import re
from pathlib import Path

import click

from benchmarks.results import ContestResult, Results, read_results

FOLDER = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def table(results: Results) -> str:
    """Return the contests as a Markdown table: rates, and in brackets the ratios of the first one to the others."""
    contests = results["contests"]
    names = list(dict.fromkeys(name for each in contests for name in (first(each), *each["contestants"])))
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    lines += [f"| {each['what']} | {' | '.join(cell(each, name) for name in names)} |" for each in contests]
    return "\n".join([*lines, "", described(results)])


def first(contest: ContestResult) -> str:
    """Return the contestant that the ratios are about."""
    return contest["ratios"][0]["who"]


def cell(contest: ContestResult, name: str) -> str:
    """Return a contestant's rate, with the ratio to it and a mark if less than wanted."""
    if name not in contest["contestants"]:
        return ""
    rate = contest["contestants"][name]["median"]
    shown = f"{rate / 1000:,.1f}k" if rate >= 1000 else f"{rate:,.0f}"
    for ratio in contest["ratios"]:
        if ratio["against"] == name:
            missed = ratio["bar"] is not None and ratio["median"] < ratio["bar"]
            wanted = f", wanted {ratio['bar']:g}" if missed else ""
            return f"{shown} ({ratio['median']:.2f}{wanted})"
    return f"**{shown}**"


def described(results: Results) -> str:
    """Return a line about the machine."""
    machine = results["machine"]
    return (
        f"Medians a second, in brackets how many times as fast the first one is. {machine['date']}, {machine['cores']}"
        f" cores of {machine['cpu']}, Python {machine['python']}, PostgreSQL {machine['postgresql']}."
    )


@click.command(help=__doc__)
def main() -> None:
    """Replace the tables of which there are results."""
    text = PAGE.read_text(encoding="utf-8")
    for path in sorted(FOLDER.glob("*.json")):
        marker = f"<!-- {path.stem} -->"
        made = f"{marker}\n{table(read_results(path))}\n"
        text = re.sub(rf"{re.escape(marker)}\n(?:\|.*\n)*(?:\nMedians .*\n)?", lambda _, made=made: made, text)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
