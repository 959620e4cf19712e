"""Random queries over a schema: every way of grouping and nesting that can make a null."""

from collections.abc import Callable, Sequence

from tests.check.fuzz.expressions import Column
from tests.check.fuzz.sources import Sources, names_of


class Queries(Sources):
    """Writes SELECTs with columns of wanted types."""

    def query(self, types: list[str], outer: Sequence[Column], depth: int) -> str:
        """A query with columns c1, c2 … of these types."""
        if depth and self._rng.random() < 0.07:
            return self._with_inner(types, outer, depth)
        if depth and self._rng.random() < 0.15:
            operation = self._rng.choice(["union", "union all", "intersect", "intersect all", "except", "except all"])
            return f"({self.query(types, outer, depth - 1)}) {operation} ({self.query(types, outer, depth - 1)})"
        kinds: list[Callable[[list[str], Sequence[Column], int], str]] = [self.select, self.select, self._grouped]
        return self._rng.choice(kinds)(types, outer, depth)

    def _with_inner(self, types: list[str], outer: Sequence[Column], depth: int) -> str:
        """A query with a CTE of its own, which can use the columns of the queries around it."""
        name, inner, known = self.name("w"), self.types(), dict(self.relations)
        definition = self.query(inner, outer, depth - 1)
        self.relations[name] = list(zip(names_of(inner), inner, strict=True))
        query = self.query(types, outer, depth - 1)
        self.relations = known
        return f"with {name} ({', '.join(names_of(inner))}) as ({definition}) {query}"

    def select(self, types: list[str], outer: Sequence[Column], depth: int) -> str:
        """A query that yields a row for each row of its FROM."""
        if depth and self._rng.random() < 0.05:
            return f"select {self.targets(types, lambda type_: self.value(type_, outer, depth))}"
        source = self.source(outer, depth)
        columns = [*source.columns, *outer]

        def target(type_: str) -> str:
            if self._rng.random() < 0.1:
                return self._expressions.window(type_, columns, depth)
            return self.value(type_, columns, depth)

        distinct = self._rng.choice(["", "", "", "distinct "])
        text = f"select {distinct}{self.targets(types, target)} from {source.text}{self.where(columns)}"
        return text + self._rng.choice(["", "", "", " limit 1", " offset 1"])

    def _grouped(self, types: list[str], outer: Sequence[Column], depth: int) -> str:
        source = self.source(outer, depth)
        columns = [*source.columns, *outer]
        keys = [self._key(source.columns) for _ in range(self._rng.randint(0, 3))]
        grouping = self._rng.choice(["", "rollup", "cube", "grouping sets", "", ""]) if keys else ""

        def aggregate(type_: str) -> Column:
            # An aggregate of nothing but the outer query's columns belongs to that one, where it is seldom allowed.
            inner = columns if self._rng.random() < 0.05 else source.columns
            return Column(self._expressions.aggregate(type_, inner, depth), type_)

        def target(type_: str) -> str:
            fitting = [key.text for key in keys if key.type == type_]
            if fitting and self._rng.random() < 0.4:
                return self._rng.choice(fitting)
            if self._rng.random() < 0.5:
                return aggregate(type_).text
            return self.value(type_, [*keys, *map(aggregate, [type_, *self.types()])], 1)

        texts = ", ".join(key.text for key in keys)
        by = f" group by {grouping}{f'({texts})' if grouping else texts}" if keys else ""
        having = self._rng.choice(["", "", " having count(*) > 1"])
        return f"select {self.targets(types, target)} from {source.text}{self.where(columns)}{by}{having}"

    def _key(self, columns: Sequence[Column]) -> Column:
        column = self._rng.choice(columns)
        if column.type == "int" and self._rng.random() < 0.3:
            return Column(f"coalesce({column.text}, 0)", "int")
        return column

    def where(self, columns: Sequence[Column]) -> str:
        """A WHERE clause, or nothing."""
        if not columns or self._rng.random() < 0.4:
            return ""
        keys = [column.text for column in columns if column.text.endswith(".id")]
        if keys and self._rng.random() < 0.3:
            # What a proof of one row is made of.
            return f" where {self._rng.choice(keys)} = {self.value('int', columns, 1)}"
        conditions = [self._requirement(columns) for _ in range(self._rng.randint(1, 2))]
        return f" where {self._rng.choice([' and ', ' and ', ' or ']).join(conditions)}"

    def _requirement(self, columns: Sequence[Column]) -> str:
        if self._rng.random() < 0.4:
            return f"{self._rng.choice(columns).text} is not null"
        return self.condition(columns)

    def targets(self, types: list[str], write: Callable[[str], str]) -> str:
        """A list of results."""
        return ", ".join(f"{write(type_)} as {name}" for type_, name in zip(types, names_of(types), strict=True))
