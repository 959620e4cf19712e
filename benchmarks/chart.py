"""A chart of results, as an SVG file that a README can show in light and in dark mode.

    python -m benchmarks.chart results.json --only "16 at a time" --output docs/benchmarks.svg

Each contest is a group with a bar for each contestant, on a scale of its own. After a bar come its median rate and the
ratio to it of the contestant with the coloured bar: the one that the first ratio of the contest is about.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path

import click

from benchmarks.results import ContestResult, Machine, read_results

WIDTH, FIGURES, MARGIN, LETTER = 860, 150, 24, 7.3
LINE, BAR, HEAD, GAP, TOP, FOOT = 24, 16, 28, 18, 76, 40
TIMES = "\N{MULTIPLICATION SIGN}"
STYLE = """
    svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
    text { fill: #1f2328; }
    .title { font-size: 19px; font-weight: 600; }
    .what { font-size: 14px; font-weight: 600; }
    .small { font-size: 12px; fill: #59636e; }
    .label { text-anchor: end; }
    .ours { font-weight: 600; }
    .page { fill: #ffffff; }
    .bar { fill: #afb8c1; }
    .bar.ours { fill: #0969da; }
    @media (prefers-color-scheme: dark) {
        text { fill: #f0f6fc; }
        .small { fill: #9198a1; }
        .page { fill: #0d1117; }
        .bar { fill: #4d5763; }
        .bar.ours { fill: #4493f8; }
    }
"""


def chart(title: str, contests: list[ContestResult], machine: Machine) -> str:
    """Return the SVG."""
    start, y = labels_width(contests), TOP
    groups: list[str] = []
    for contest in contests:
        groups += group(contest, start, y)
        y += HEAD + LINE * len(contest["contestants"]) + GAP
    lines = [legend(contests), *map(sentence, contests), described(machine)]
    return "\n".join(
        [
            *opening(title, lines, y + FOOT),
            text("title", MARGIN, 36, title),
            text("small", MARGIN, 58, lines[0]),
            *groups,
            text("small", MARGIN, y + 16, lines[-1]),
            "</svg>\n",
        ]
    )


def opening(title: str, lines: list[str], height: int) -> list[str]:
    """Return the root element, what a screen reader says, and the page behind the bars."""
    root = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-labelledby="title desc"'
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" {root}>',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(" ".join(lines))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="8"/>',
    ]


def group(contest: ContestResult, start: int, y: int) -> Iterator[str]:
    """Yield the heading and the bars of a contest. They begin `start` from the left, at the height `y`."""
    rates = {name: spread["median"] for name, spread in contest["contestants"].items()}
    yield text("what", MARGIN, y + 16, capital(contest["what"]))
    for number, (name, rate) in enumerate(rates.items()):
        top = y + HEAD + number * LINE
        width = max(1, round(rate / max(rates.values()) * (WIDTH - start - FIGURES)))
        kind = "ours" if name == subject(contest) else "other"
        yield text(f"label {kind}", start - 10, top + 13, name)
        yield f'<rect class="bar {kind}" x="{start}" y="{top}" width="{width}" height="{BAR}" rx="3"/>'
        yield text(kind, start + width + 8, top + 13, *figures(contest, name))


def text(kind: str, x: int, y: int, content: str, aside: str = "") -> str:
    """Return a text, with a paler one after it if there is an aside."""
    after = f'<tspan class="small" dx="8">{escape(aside)}</tspan>' if aside else ""
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(content)}{after}</text>'


def labels_width(contests: list[ContestResult]) -> int:
    """Return where bars begin: after the longest name, since an SVG cannot measure its texts."""
    longest = max(len(name) for contest in contests for name in contest["contestants"])
    return MARGIN + round(longest * LETTER) + 10


def capital(what: str) -> str:
    """Return the words with a capital at their beginning."""
    return what[:1].upper() + what[1:]


def subject(contest: ContestResult) -> str | None:
    """Return who has the coloured bar; None when nobody is compared."""
    return contest["ratios"][0]["who"] if contest["ratios"] else None


def figures(contest: ContestResult, name: str) -> tuple[str, str]:
    """Return a contestant's rate and the subject's ratio to it, which is empty when the results have none."""
    ratios = [each for each in contest["ratios"] if (each["who"], each["against"]) == (subject(contest), name)]
    return f"{contest['contestants'][name]['median']:,.0f}/s", "".join(
        f"{each['median']:.2f}{TIMES}" for each in ratios
    )


def sentence(contest: ContestResult) -> str:
    """Return a contest in words."""
    rates = [f"{name} {' '.join(figures(contest, name)).strip()}" for name in contest["contestants"]]
    return f"{capital(contest['what'])}: {', '.join(rates)}."


def legend(contests: list[ContestResult]) -> str:
    """Return what the figures mean."""
    subjects = {who for contest in contests if (who := subject(contest))}
    who = subjects.pop() if len(subjects) == 1 else "the contestant in colour"
    return f"Medians; longer is better. 2{TIMES} means that {who} is twice as fast."


def described(machine: Machine) -> str:
    """Return where and when it was measured."""
    python, postgresql = f"Python {machine['python']}", f"PostgreSQL {machine['postgresql']}"
    return f"{machine['cpu']}, {machine['cores']} cores, {python}, {postgresql}, {machine['date']}"


@click.command(help=__doc__)
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The SVG file.")
@click.option("--title", default="Operations a second", show_default=True)
@click.option("--only", default="", help="Only the contests with this text in their names.")
def main(files: tuple[Path, ...], output: Path, title: str, only: str) -> None:
    """Write the chart; the machine is that of the first file."""
    results = [read_results(file) for file in files]
    contests = [contest for each in results for contest in each["contests"] if only in contest["what"]]
    if not contests:
        raise click.ClickException(f"no contest in these files has {only!r} in its name")
    output.write_text(chart(title, contests, results[0]["machine"]), encoding="utf-8")


if __name__ == "__main__":
    main()
