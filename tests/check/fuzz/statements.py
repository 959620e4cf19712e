"""Random statements: queries, alone and with CTEs, and what writes and returns rows."""

import random
from collections.abc import Sequence

from tests.check.fuzz.expressions import Column
from tests.check.fuzz.queries import Queries
from tests.check.fuzz.sources import Relations, Source, names_of

_WRITTEN = ["people", "things", "nothing", "plain", "ruled", "pieces", "parents", "doubtful"]
_KEYED = ["people", "things", "links", "pairs"]


class Statements(Queries):
    """Writes statements for a server of a major version."""

    def __init__(self, rng: random.Random, relations: Relations, version: int) -> None:
        super().__init__(rng, relations)
        self._version = version

    def statement(self) -> str:
        """A statement that returns rows."""
        types = self.types()
        kinds = [*[self._plain] * 4, *[self._writing] * 2, self._with, self._recursive, self._keyed]
        return self._rng.choice(kinds)(types)

    def _plain(self, types: list[str]) -> str:
        return self.query(types, [], 2)

    def _keyed(self, _types: list[str]) -> str:
        """Two tables joined and chosen by equality, as it takes to prove that there is one row."""
        left, right = self.table(_KEYED), self.table(_KEYED)
        numbers = [column.text for column in (*left.columns, *right.columns) if column.type == "int"]
        on, *where = [f"{self._rng.choice(numbers)} = {self._rng.choice(['1', '2', *numbers])}" for _ in range(4)]
        join = self._rng.choice(["join", "left join", "right join"])
        conditions = " and ".join(where[: self._rng.randint(1, 3)])
        return f"select * from {left.text} {join} {right.text} on {on} where {conditions}"

    def _with(self, types: list[str]) -> str:
        """CTEs, some of which write, and a query that can read them."""
        definitions: list[str] = []
        known, name = dict(self.relations), ""
        for _ in range(self._rng.randint(1, 2)):
            name, inner = self.name("w"), self.types()
            write = self._writing if self._rng.random() < 0.3 else self._plain
            definitions.append(f"{name} ({', '.join(names_of(inner))}) as ({write(inner)})")
            self.relations[name] = list(zip(names_of(inner), inner, strict=True))
        query = self._rng.choice([self.query(types, [], 2), f"select * from {name}"])
        self.relations = known
        return f"with {', '.join(definitions)} {query}"

    def _recursive(self, types: list[str]) -> str:
        name, inner = self.name("r"), self.types()
        known = dict(self.relations)
        first = self.select(inner, [], 1)
        columns = [Column(f"{name}.{column}", type_) for column, type_ in zip(names_of(inner), inner, strict=True)]
        columns.append(Column(f"{name}.n", "int"))
        table = self.table()
        joined = self._rng.choice(["", f" left join {table.text} on {self.condition([*columns, *table.columns])}"])
        usable = columns + (table.columns if joined else [])
        step = ", ".join(self.value(type_, usable, 1) for type_ in inner)
        union = self._rng.choice(["union all", "union"])
        self.relations[name] = [*zip(names_of(inner), inner, strict=True), ("n", "int")]
        query = self._rng.choice([self.query(types, [], 1), f"select * from {name}"])
        self.relations = known
        return (
            f"with recursive {name} ({', '.join(names_of(inner))}, n) as ("
            f"select s.*, 1 from ({first}) as s {union} select {step}, {name}.n + 1 from {name}{joined}"
            f" where {name}.n < 3) {query}"
        )

    def _writing(self, types: list[str]) -> str:
        kinds = [self._insert, self._update, self._delete] + ([self._merge] if self._version >= 17 else [])
        return self._rng.choice(kinds)(types)

    def _insert(self, types: list[str]) -> str:
        table = self._rng.choice(_WRITTEN)
        columns = [column for column in self.relations[table] if column[0] not in {"twice", "number"}]
        chosen = [type_ for _, type_ in columns]
        rows = self._rng.choice([self.query(chosen, [], 1), f"values ({', '.join(self._filled(columns))})"])
        conflict = self._rng.choice(["", " on conflict do nothing"])
        names = ", ".join(name for name, _ in columns)
        returned = [Column(f"t.{name}", type_) for name, type_ in self.relations[table]]
        overriding = " overriding system value" if table == "things" else ""
        returning = self._returned(types, returned, table)
        return f"insert into {table} as t ({names}){overriding} {rows}{conflict} returning {returning}"

    def _filled(self, columns: Sequence[tuple[str, str]]) -> list[str]:
        return [str(self._rng.randint(20, 99)) if name == "id" else self.value(type_, [], 1) for name, type_ in columns]

    def _update(self, types: list[str]) -> str:
        table, source = self._rng.choice(_WRITTEN), self.source([], 1)
        written = self.relations[table]
        target = [Column(f"t.{name}", type_) for name, type_ in written]
        name, type_ = self._rng.choice([column for column in written if column[0] not in {"id", "twice"}] or written)
        joined = self._rng.random() < 0.5
        usable = [*target, *source.columns] if joined else target
        value, condition = self.value(type_, usable, 1), self.where(usable)
        if self._rng.random() < 0.4:
            # RETURNING shows what the assignment made of a value that WHERE has seen.
            value, condition = f"nullif({value}, t.{name})", f" where t.{name} is not null"
        returned = [*usable, *[Column(f"t.{name}", type_)] * 4]
        text = f"update {table} as t set {name} = {value}{f' from {source.text}' if joined else ''}{condition}"
        return f"{text} returning {self._returned(types, returned, table)}"

    def _delete(self, types: list[str]) -> str:
        table, source = self._rng.choice(_WRITTEN), self.source([], 1)
        target = [Column(f"t.{name}", type_) for name, type_ in self.relations[table]]
        joined = self._rng.random() < 0.5
        usable = [*target, *source.columns] if joined else target
        using = f" using {source.text}" if joined else ""
        return f"delete from {table} as t{using}{self.where(usable)} returning {self._returned(types, usable, table)}"

    def _merge(self, types: list[str]) -> str:
        table, source = self._rng.choice(["people", "nothing", "pieces"]), self.source([], 1)
        columns = self.relations[table]
        target = [Column(f"t.{name}", type_) for name, type_ in columns]
        name, type_ = self._rng.choice([column for column in columns if column[0] != "id"])
        usable = [*target, *source.columns]
        matched = self._rng.choice(["delete", f"update set {name} = {self.value(type_, usable, 1)}"])
        unmatched = self._rng.choice([
            "not matched by source then delete",
            f"not matched then insert ({', '.join(n for n, _ in columns)}) values ({', '.join(self._filled(columns))})",
        ])  # fmt: skip
        return (
            f"merge into {table} as t using {source.text} on {self.match('join', Source('', target), source, [])}"
            f" when matched then {matched} when {unmatched} returning {self._returned(types, usable, table)}"
        )

    def _returned(self, types: list[str], columns: Sequence[Column], table: str) -> str:
        states = [Column(f"{state}.{name}", type_) for state in ("old", "new") for name, type_ in self.relations[table]]

        def target(type_: str) -> str:
            # By themselves: PostgreSQL 18.4 itself crashes on `delete … returning new.id in (select …)`.
            if self._version >= 18 and self._rng.random() < 0.4:
                return self.value(type_, states, 0)
            return self.value(type_, columns, 1)

        return self.targets(types, target)
