"""Line charts as SVG, without a style in any element: the page's policy allows none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 300.0, 70.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart: its name, the values (None where there is none), and its path for SVG."""

    name: str
    css: str
    path: str
    last: float | None


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with a title, its lines, and what its highest point means."""

    title: str
    unit: str
    top: float
    lines: list[Line]


def chart(title: str, unit: str, series: Sequence[tuple[str, Sequence[float | None]]]) -> Chart:
    """Return a chart of these series, each with a name and its values, the newest last."""
    top = _round_up(max((value for _, values in series for value in values if value is not None), default=0.0))
    lines = [
        Line(name, f"line-{number}", _path(values, top), values[-1] if values else None)
        for number, (name, values) in enumerate(series, start=1)
    ]
    return Chart(title, unit, top, lines)


def _path(values: Sequence[float | None], top: float) -> str:
    step = WIDTH / max(1, len(values) - 1)
    return " ".join(_moves(values, step, top))


def _moves(values: Iterable[float | None], step: float, top: float) -> Iterable[str]:
    pen = "M"
    for number, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        yield f"{pen}{number * step:.1f} {HEIGHT - 2 - value / top * (HEIGHT - 4):.1f}"
        pen = "L"


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, … so that the scale does not change with each sample."""
    if value <= 0:
        return 1.0
    power = 1e-6
    while True:
        for digit in (1, 2, 5):
            if digit * power >= value:
                return digit * power
        power *= 10
