"""An alias may be any text: one that looks like a join is none."""

from tests.check.planting import Planted, bound

JOINS = """
from people p
left join pets {alias} on {alias}.owner_id = p.id and {alias}.id = 1
left join (pets x join people y on y.id = x.owner_id) on x.owner_id = p.id and x.id = 2
where p.id = 1
"""
ROWS = """
@dataclass(frozen=True, slots=True)
class Two:
    one: int
    other: int


@dataclass(frozen=True, slots=True)
class Row:
    id: int
    two: Two | None


"""


def problems(planted: Planted, one: str, other: str, alias: str) -> list[str]:
    """What is wrong with a nested row of two columns."""
    select = f'select p.id, {one} as "two.one", {other} as "two.other"'
    text = f"-- name: get_row\n-- check: full scan of pets, because there are few\n{select}{JOINS.format(alias=alias)}"
    report = planted.check(text, bound("get_row", "Row | None", ROWS))
    return [problem.message for problem in report.problems if "two" in problem.message]


def test_columns_of_two_joins_are_not_null_together(planted: Planted) -> None:
    for alias in ("z", '"x+y"'):
        assert problems(planted, f"{alias}.id", "x.id", alias) != [], alias


def test_columns_of_one_join_are_null_together(planted: Planted) -> None:
    for alias in ("z", '"x+y"', '"a, b"', '"say ""x"""'):
        assert problems(planted, f"{alias}.id", f"{alias}.owner_id", alias) == [], alias
        assert problems(planted, "x.id", "y.id", alias) == [], alias
