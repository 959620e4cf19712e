"""Prints what a check found: a line for each query, each problem once, and the sums."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from app.check.checks import Checked, Report
from app.check.rules.problems import Problem

_STYLES = {"error": "bold red", "warning": "bold yellow", "ok": "green"}


def print_report(report: Report, console: Console, seconds: float) -> None:
    """Print a report; with colours where the console is a terminal, as plain text elsewhere."""
    for checked in report.queries:
        print_line(console, _verdict(checked), checked.signature.name)
    print_problems(report.problems, console)
    console.print(Text(summary(report, seconds)), soft_wrap=True)


def print_problems(problems: Sequence[Problem], console: Console) -> None:
    """Print each problem, those at the same place with the same words once."""
    for problem, also in _merged(problems):
        text = Text(f"\n{problem}" + (f"\n  {'Also in':<16}{', '.join(also)}" if also else ""))
        text.highlight_regex(rf"(?<=: ){problem.severity}(?=: )", _STYLES[problem.severity])
        console.print(text, soft_wrap=True)


def print_line(console: Console, verdict: str, what: str) -> None:
    """Print one verdict: `ok`, or how many problems there are."""
    style = _STYLES["ok"] if verdict == "ok" else _STYLES["error"]
    console.print(Text.assemble((f"{verdict:<12}", style), what), soft_wrap=True)


def summary(report: Report, seconds: float) -> str:
    """Return one line: the numbers of queries, problems and exemptions, and the kinds of exemptions."""
    kinds = Counter(exemption.kind for exemption in report.exemptions)
    exempt = f" ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))})" if kinds else ""
    problems = len(list(_merged(report.problems)))
    return (
        f"\n{_count(len(report.queries), 'query', 'queries')}, {_count(problems, 'problem')},"
        f" {_count(kinds.total(), 'exemption')}{exempt} in {seconds:.1f} s"
    )


def _verdict(checked: Checked) -> str:
    return _count(len(checked.problems), "problem") if checked.problems else "ok"


def _merged(problems: Sequence[Problem]) -> Iterator[tuple[Problem, list[str]]]:
    """Yield each problem once, with the other queries that have it, as those that include the same fragment."""
    groups: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        groups[str(problem.place), problem.message].append(problem)
    for first, *others in groups.values():
        yield first, [problem.query for problem in others]


def _count(number: int, singular: str, plural: str = "") -> str:
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
