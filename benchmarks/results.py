"""Results of contests as JSON, which other programs read, with the machine that they were measured on.

    {"machine": {"cpu": …, "cores": …, "python": …, "postgresql": …, "packages": {name: version}, "date": …},
     "contests": [{"what": …, "contestants": {name: {"median": …, "min": …, "max": …}},
                   "ratios": [{"who": …, "against": …, "median": …, "min": …, "max": …, "bar": …}]}]}

Rates are per second. The ratios are those of each round, so their median is not the ratio of the medians of the rates.
"""

import json
import os
import platform
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TypedDict

import psycopg

from benchmarks.contest import Contest, Ratio

PACKAGES = (
    "bindery", "asyncpg", "uvloop", "starlette", "uvicorn", "pydantic",
    "aiosql", "psycopg", "psycopg-pool", "sqlalchemy", "fastapi",
)  # fmt: skip


class Spread(TypedDict):
    """A figure of all rounds."""

    median: float
    min: float
    max: float


class RatioResult(Spread):
    """How many times as fast `who` is, and the least that is wanted; None when nothing is."""

    who: str
    against: str
    bar: float | None


class ContestResult(TypedDict):
    """One contest."""

    what: str
    contestants: dict[str, Spread]
    ratios: list[RatioResult]


class Machine(TypedDict):
    """Where and with what it was measured."""

    cpu: str
    cores: int
    python: str
    postgresql: str
    packages: dict[str, str]
    date: str


class Results(TypedDict):
    """A whole file."""

    machine: Machine
    contests: list[ContestResult]


def write_results(path: Path, postgresql: str, contests: Iterable[Contest]) -> None:
    """Write what came of contests that were played with this version of PostgreSQL."""
    results = Results(machine=machine(postgresql), contests=[contest_result(each) for each in contests])
    path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_results(path: Path) -> Results:
    """Return what write_results() wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def contest_result(contest: Contest) -> ContestResult:
    """Return the rates and ratios of a contest that was played."""
    rates = {name: spread([round_[name] for round_ in contest.rounds], 1) for name in contest.contestants}
    return ContestResult(
        what=contest.what, contestants=rates, ratios=[ratio_result(contest, ratio) for ratio in contest.ratios]
    )


def ratio_result(contest: Contest, ratio: Ratio) -> RatioResult:
    """Return one ratio over all rounds."""
    ratios = spread([rates[ratio.who] / rates[ratio.against] for rates in contest.rounds], 3)
    return RatioResult(who=ratio.who, against=ratio.against, bar=ratio.bar, **ratios)


def spread(figures: list[float], digits: int) -> Spread:
    """Return median, least and most, rounded."""
    middle, least, most = (round(figure, digits) for figure in (median(figures), min(figures), max(figures)))
    return Spread(median=middle, min=least, max=most)


def machine(postgresql: str) -> Machine:
    """Return this machine, this Python and the installed packages that matter."""
    return Machine(
        cpu=cpu_model(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        postgresql=postgresql,
        packages=dict(installed(PACKAGES)),
        date=datetime.now(UTC).date().isoformat(),
    )


def cpu_model() -> str:
    """Return the processor's name as Linux knows it, or its architecture."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1] if found else platform.machine()


def installed(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield the names and versions of those packages that are installed."""
    for name in names:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def server_version(dsn: str) -> str:
    """Return the version of the server, such as 18.1."""
    with psycopg.connect(dsn) as connection:
        return str(connection.info.parameter_status("server_version")).split(maxsplit=1)[0]
