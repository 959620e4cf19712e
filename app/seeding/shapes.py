"""Zipf's law: the second of a kind is half as frequent as the first, the third a third, and so on."""

from bisect import bisect
from itertools import accumulate
from random import Random


class Zipf:
    """Draws numbers from 0 to `count - 1`; rank r has a weight of 1 / r ** `slope`.

    With `shuffled`, which number has which rank is random, so that popular rows lie among the others.
    """

    def __init__(self, random: Random, count: int, slope: float = 1.0, *, shuffled: bool = True) -> None:
        self._random = random
        self._sums = list(accumulate((rank + 1) ** -slope for rank in range(count)))
        self._numbers = list(range(count))
        if shuffled:
            random.shuffle(self._numbers)

    def draw(self) -> int:
        """Return one number."""
        sums = self._sums
        return self._numbers[min(bisect(sums, self._random.random() * sums[-1]), len(sums) - 1)]

    def draw_different(self, count: int, without: int | None = None) -> set[int]:
        """Return `count` different numbers; `without` is none of them. At most half of all numbers may be drawn."""
        found: set[int] = set()
        while len(found) < count:
            # When the popular numbers are taken, others come rarely: then all are equally likely.
            number = self.draw() if len(found) * 8 < len(self._sums) else self._random.randrange(len(self._sums))
            if number != without:
                found.add(number)
        return found

    def top(self) -> int:
        """Return the most frequent number."""
        return self._numbers[0]


def shares(random: Random, total: int, count: int, most: int) -> list[int]:
    """Split `total` into `count` uneven parts of at most `most` each, in random order. Needs total <= count * most."""
    sums = list(accumulate((rank + 1) ** -0.5 for rank in range(count)))
    ends = [int(total * each / sums[-1]) for each in sums]
    parts = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    parts[-1] += total - sum(parts)
    over = 0
    for place, part in enumerate(parts):
        parts[place] = min(part + over, most)
        over += part - parts[place]
    place = 0
    while over:
        added = min(over, most - parts[place])
        parts[place] += added
        over -= added
        place += 1
    random.shuffle(parts)
    return parts
