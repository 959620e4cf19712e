"""Contests: several ways to do the same, in turn, so that whatever else the machine does meets all of them.

In each round every contestant runs for a moment, beginning with another one each time. What counts is the median of
each round's ratios, since machines change their speed between rounds more than within one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

Call = Callable[[], Awaitable[object]]
Rates = dict[str, float]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How fast `who` is compared with `against`, and the ratio that is wanted, if one is."""

    who: str
    against: str
    bar: float | None = None


@dataclass(frozen=True, slots=True)
class Contest:
    """What is done, by whom (a list of calls each, one for each task), and which ratios are of interest."""

    what: str
    contestants: dict[str, list[Call]]
    ratios: list[Ratio]
    rounds: list[Rates] = field(default_factory=list[Rates])

    async def play(self, rounds: int, seconds: float) -> None:
        """Run so many rounds after one that warms up, each contestant for so many seconds in each."""
        names = list(self.contestants)
        for number in range(rounds + 1):
            first = number % len(names)
            order = names[first:] + names[:first]
            rates = {name: await rate(self.contestants[name], seconds) for name in order}
            if number:
                self.rounds.append(rates)


async def rate(calls: list[Call], seconds: float) -> float:
    """How many calls a second these tasks make together."""
    begin = perf_counter()

    async def repeat(call: Call) -> int:
        count = 0
        while perf_counter() - begin < seconds or not count:
            await call()
            count += 1
        return count

    counts = await asyncio.gather(*map(repeat, calls))
    return sum(counts) / (perf_counter() - begin)


def report(contest: Contest) -> str:
    """The ratios of a contest that was played, with the rates that they compare."""
    return "\n".join([contest.what, *(_line(contest, ratio) for ratio in contest.ratios)])


def _line(contest: Contest, ratio: Ratio) -> str:
    ratios = [rates[ratio.who] / rates[ratio.against] for rates in contest.rounds]
    middle = median(ratios)
    mine, theirs = (median(rates[name] for rates in contest.rounds) for name in (ratio.who, ratio.against))
    text = f"  {middle:5.2f} ({min(ratios):.2f} to {max(ratios):.2f})  {ratio.who}, {mine:,.0f}/s"
    text += f", against {ratio.against}, {theirs:,.0f}/s"
    if ratio.bar is not None:
        text += f"; bar {ratio.bar} {'reached' if middle >= ratio.bar else 'MISSED'}"
    return text
