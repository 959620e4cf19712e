"""Random FROM clauses over a schema: every kind of join of every kind of table."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tests.check.fuzz.expressions import TYPES, Column, Expressions

Relations = Mapping[str, Sequence[tuple[str, str]]]
_JOINS = ["join", "left join", "left join", "right join", "full join", "cross join"]


class Source(NamedTuple):
    """An item of a FROM clause and what it lets an expression use."""

    text: str
    columns: list[Column]


class Sources(ABC):
    """Writes FROM clauses; `relations` is what they read from."""

    def __init__(self, rng: random.Random, relations: Relations) -> None:
        self._rng = rng
        self.relations = dict(relations)
        self._tables = frozenset(relations)
        self._names = 0
        self._expressions = Expressions(rng, self._subquery)

    @abstractmethod
    def query(self, types: list[str], outer: Sequence[Column], depth: int) -> str:
        """A query with columns c1, c2 … of these types."""

    def source(self, outer: Sequence[Column], depth: int) -> Source:
        """A FROM clause."""
        source = self._item(outer, depth)
        while self._rng.random() < 0.45:
            source = self._joined(source, outer, depth)
        return source

    def _joined(self, left: Source, outer: Sequence[Column], depth: int) -> Source:
        join = self._rng.choice(_JOINS)
        lateral = join in {"join", "left join", "cross join"} and self._rng.random() < 0.4
        right = self._item([*outer, *left.columns] if lateral else outer, depth, lateral=lateral)
        if self._rng.random() < 0.15:
            right = self._bracketed(right, outer, depth)
        columns = [*left.columns, *right.columns]
        if join == "cross join":
            return Source(f"{left.text} cross join {right.text}", columns)
        return Source(f"{left.text} {join} {right.text} on {self.match(join, left, right, outer)}", columns)

    def _bracketed(self, item: Source, outer: Sequence[Column], depth: int) -> Source:
        joined = self._joined(item, outer, 0) if depth else self._merged()
        return Source(f"({joined.text})" if depth else joined.text, joined.columns)

    def match(self, join: str, left: Source, right: Source, outer: Sequence[Column]) -> str:
        """A join's condition; a full join takes equality alone."""
        pairs = [(a.text, b.text) for a in left.columns for b in right.columns if a.type == b.type]
        if pairs and (join == "full join" or self._rng.random() < 0.7):
            keys = [pair for pair in pairs if pair[1].endswith(".id")]
            a, b = self._rng.choice(keys if keys and self._rng.random() < 0.5 else pairs)
            more = "" if join == "full join" else self._rng.choice(["", "", f" and {self.condition(right.columns)}"])
            return f"{a} = {b}{more}"
        return "true" if join == "full join" else self.condition([*left.columns, *right.columns, *outer])

    def _item(self, outer: Sequence[Column], depth: int, *, lateral: bool = False) -> Source:
        kinds: list[Callable[[], Source]] = [self.table] * 5 + [self._merged, self._values, self._function]
        if depth and (lateral or self._rng.random() < 0.3):
            return self._derived(outer, depth, lateral=lateral)
        return self._rng.choice(kinds)()

    def table(self, names: Sequence[str] = ()) -> Source:
        """A relation by itself, one of these names if there are any."""
        ctes = [name for name in self.relations if name not in self._tables]
        known = ctes if ctes and self._rng.random() < 0.5 else list(self.relations)
        relation = self._rng.choice(names or known)
        alias = self.name("t")
        columns = [Column(f"{alias}.{name}", type_) for name, type_ in self.relations[relation]]
        return Source(f"{relation} as {alias}", columns)

    def _merged(self) -> Source:
        """Two tables joined by a column that they share, which the result has once."""
        left, right, alias = self.table(), self.table(), self.name("j")
        shared = [a for a in _plain_names(left) if a in _plain_names(right)]
        if not shared or left.text == right.text:
            return left
        name = self._rng.choice(sorted(shared))
        type_ = next(column.type for column in left.columns if column.text.endswith(f".{name}"))
        join = self._rng.choice(["join", "left join", "right join", "full join"])
        text = f"({left.text} {join} {right.text} using ({name}) as {alias})"
        return Source(text, [*left.columns, *right.columns, Column(f"{alias}.{name}", type_)])

    def _values(self) -> Source:
        types, alias = self.types(), self.name("v")
        rows = [", ".join(self.value(type_, [], 1) for type_ in types) for _ in range(self._rng.randint(1, 3))]
        text = f"(values {', '.join(f'({row})' for row in rows)}) as {alias} ({', '.join(names_of(types))})"
        return Source(text, _columns(alias, types))

    def _function(self) -> Source:
        alias = self.name("f")
        text, types = self._rng.choice([
            ("generate_series(1, 2) as {} (c1)", ["int"]),
            ("unnest(array[1, null]) as {} (c1)", ["int"]),
            ("unnest(array['a', null], array[1]) as {} (c1, c2)", ["text", "int"]),
            ("rows from (generate_series(1, 3), generate_series(1, 2)) as {} (c1, c2)", ["int", "int"]),
            ("unnest(array[1, null]) with ordinality as {} (c1, c2)", ["int", "int"]),
            ("unlikely(2) as {} (c1)", ["int"]),
            ("regexp_split_to_table('a,b', ',') as {} (c1)", ["text"]),
        ])  # fmt: skip
        return Source(text.format(alias), _columns(alias, types))

    def _derived(self, outer: Sequence[Column], depth: int, *, lateral: bool) -> Source:
        types, alias = self.types(), self.name("q")
        query = self.query(types, outer, depth - 1)
        text = f"{'lateral ' if lateral else ''}({query}) as {alias} ({', '.join(names_of(types))})"
        return Source(text, _columns(alias, types))

    def value(self, wanted: str, columns: Sequence[Column], depth: int) -> str:
        """An expression over one row."""
        return self._expressions.value(wanted, columns, depth)

    def condition(self, columns: Sequence[Column]) -> str:
        """A boolean expression."""
        return self.value("bool", columns, 1)

    def types(self) -> list[str]:
        """The types of some columns."""
        return self._rng.choices(TYPES, weights=[5, 4, 2, 1, 1], k=self._rng.randint(1, 4))

    def name(self, prefix: str) -> str:
        """A name that nothing else has."""
        self._names += 1
        return f"{prefix}{self._names}"

    def _subquery(self, wanted: str, outer: Sequence[Column], depth: int) -> str:
        return self.query([wanted], outer, min(depth, 1))


def names_of(types: Sequence[str]) -> list[str]:
    """The names c1, c2 … for columns of these types."""
    return [f"c{number}" for number, _ in enumerate(types, 1)]


def _columns(alias: str, types: Sequence[str]) -> list[Column]:
    return [Column(f"{alias}.{name}", type_) for name, type_ in zip(names_of(types), types, strict=True)]


def _plain_names(source: Source) -> list[str]:
    return [column.text.rpartition(".")[2] for column in source.columns]
