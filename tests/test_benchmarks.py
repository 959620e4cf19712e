"""Contests, their results and the chart of them, in short rounds and without the packages of other stacks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from benchmarks.chart import main
from benchmarks.contest import Contest, Ratio, report
from benchmarks.results import contest_result, read_results, write_results
from benchmarks.tables import table
from benchmarks.wrk import milliseconds

SVG = "{http://www.w3.org/2000/svg}"
PLAYED = [{"ours": 300.0, "theirs": 100.0}, {"ours": 100.0, "theirs": 50.0}, {"ours": 200.0, "theirs": 200.0}]


def contest(what: str = "a row & more", bar: float | None = 1.5) -> Contest:
    """A contest that was played in three rounds."""
    return Contest(what, {"ours": [], "theirs": []}, [Ratio("ours", "theirs", bar)], PLAYED)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A file of results with two contests."""
    path = tmp_path / "results.json"
    write_results(path, "18.4", [contest(), contest("an insert")])
    return path


def draw(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


async def test_every_round_but_the_first_counts() -> None:
    calls = {"ours": 0, "theirs": 0}

    async def call(name: str) -> None:
        calls[name] += 1
        await asyncio.sleep(0)

    played = Contest("calls", {"ours": [lambda: call("ours")] * 2, "theirs": [lambda: call("theirs")]}, [])
    await played.play(rounds=3, seconds=0.001)

    assert [set(rates) for rates in played.rounds] == [{"ours", "theirs"}] * 3
    assert all(rate > 0 for rates in played.rounds for rate in rates.values())
    assert min(calls.values()) >= 4


def test_what_counts_is_the_median_of_the_ratios_of_each_round() -> None:
    result = contest_result(contest())

    assert result["contestants"]["ours"] == {"median": 200.0, "min": 100.0, "max": 300.0}
    assert result["ratios"] == [{"who": "ours", "against": "theirs", "bar": 1.5, "median": 2.0, "min": 1.0, "max": 3.0}]
    assert " 2.00 (1.00 to 3.00)  ours, 200/s, against theirs, 100/s; bar 1.5 reached" in report(contest())


def test_results_name_the_machine_they_were_measured_on(results: Path) -> None:
    read = read_results(results)

    assert [each["what"] for each in read["contests"]] == ["a row & more", "an insert"]
    assert read["machine"]["postgresql"] == "18.4"
    assert read["machine"]["cpu"]
    assert "asyncpg" in read["machine"]["packages"]


def test_the_chart_has_a_bar_for_each_contestant_and_says_it_in_words(results: Path, tmp_path: Path) -> None:
    done = draw(results, results, "--title", "Rates < others", "--output", tmp_path / "chart.svg")
    root = ET.fromstring((tmp_path / "chart.svg").read_text())

    assert done.exit_code == 0, done.output
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "Rates < others"
    assert "A row & more: ours 200/s, theirs 100/s 2.00×." in (root.findtext(f"{SVG}desc") or "")  # noqa: RUF001
    widths = [int(bar.get("width", 0)) for bar in root.iter(f"{SVG}rect") if "bar" in bar.get("class", "")]
    assert len(widths) == 8
    assert widths[0] == pytest.approx(2 * widths[1], abs=1)


def test_the_chart_follows_the_readers_colours_and_runs_no_script(results: Path, tmp_path: Path) -> None:
    draw(results, "--output", tmp_path / "chart.svg")
    text = (tmp_path / "chart.svg").read_text()

    assert "prefers-color-scheme: dark" in text
    assert "<script" not in text
    assert "href" not in text


def test_a_chart_of_some_contests(results: Path, tmp_path: Path) -> None:
    done = draw(results, "--only", "insert", "--output", tmp_path / "chart.svg")

    assert done.exit_code == 0, done.output
    assert "A row" not in (tmp_path / "chart.svg").read_text()


def test_a_chart_of_no_contest_is_refused(results: Path, tmp_path: Path) -> None:
    done = draw(results, "--only", "nothing", "--output", tmp_path / "chart.svg")

    assert done.exit_code == 1
    assert "no contest in these files has 'nothing' in its name" in done.output


def test_the_times_that_wrk_prints_are_read_in_every_unit() -> None:
    printed = "  Latency Distribution\n     50%  532.00us\n     75%   23.11ms\n     90%    1.03m \n     99%    1.15s \n"

    assert [milliseconds(printed, share) for share in ("50%", "75%", "90%", "99%")] == [0.532, 23.11, 61800.0, 1150.0]
    with pytest.raises(ValueError, match="printed no 99%"):
        milliseconds("nothing", "99%")


def test_a_table_has_a_column_for_each_contestant_and_says_what_is_missed(results: Path) -> None:
    lines = table(read_results(results)).splitlines()

    assert lines[0] == "| | ours | theirs |"
    assert lines[2] == "| a row & more | **200** | 100 (2.00) |"
    assert len({line.count("|") for line in lines[:4]}) == 1
