"""Write and read the lock file: what PostgreSQL said of each query at the last check, as JSON to be committed."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.check.postgres.describe import Description, ResultColumn, StatementParameter
from app.check.postgres.lineage import Lineage
from app.check.postgres.proofs.absence import Absence
from app.check.postgres.server_types import ServerType
from app.check.python.bound_functions import BoundFunction, checked_text
from app.db.sql.places import Place, Source

_NOT_NULL = " not null"
_NO_NULLS = " of no nulls"
_ABSENCE = " beside "


class LockError(Exception):
    """The lock file cannot be read. The message says why."""


@dataclass(frozen=True, slots=True)
class LockEntry:
    """One query of a lock file."""

    text: str
    """The statement with `$1` …, without its name at the end."""
    promises: str
    """How many rows: one, optional, many, number or none."""
    parameters: tuple[str, ...]
    optional: frozenset[str]
    """The parameters that may be None."""
    description: Description

    @property
    def given(self) -> frozenset[int]:
        """The numbers of the parameters that are never null."""
        return frozenset(number for number, name in enumerate(self.parameters, 1) if name not in self.optional)


@dataclass(slots=True)
class Lock:
    """A lock file as text and as entries by the queries' names."""

    path: Path
    source: Source
    entries: dict[str, LockEntry]
    raw: dict[str, Any] = field(repr=False)

    def place(self, query: str) -> Place:
        """Return the place where the entry begins, or the beginning of the file if there is none."""
        return self.source.place(max(self.source.text.find(f'"{query}": {{'), 0))

    def locate(self, query: str, offset: int) -> Place:
        """Return the place in the file of a character of the query's text."""
        before = self.entries[query].text[:offset]
        start = self.source.text.index('"sql": [', self.source.text.index(f'"{query}": {{'))
        for _ in range(before.count("\n") + 1):
            start = self.source.text.index("\n", start) + 1
        quote = self.source.text.index('"', start)
        return self.source.place(quote + len(json.dumps(before.rpartition("\n")[2], ensure_ascii=False)) - 1)


def lock_text(pairs: Iterable[tuple[BoundFunction, Description]]) -> str:
    """Return the lock file of these queries: a line for each fact, independent of the order of the queries."""
    types: dict[str, Any] = {}
    queries: dict[str, Any] = {}
    for signature, description in sorted(pairs, key=lambda pair: pair[0].name):
        queries[signature.name] = _entry(signature, description)
        for type_ in [item.type for item in (*description.parameters, *description.columns)]:
            types |= _definitions(type_)
    document = {"queries": queries, "types": dict(sorted(types.items()))}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_lock(path: Path) -> Lock:
    """Read the lock file at `path`. Raises LockError when it is missing or invalid."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text)
        entries = {name: _parse(entry, raw["types"]) for name, entry in raw["queries"].items()}
    except FileNotFoundError:
        raise LockError(f"{path} is missing; `check --lock` writes it") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LockError(f"{path} is no lock file: {error!r}; `check --lock` writes it anew") from None
    return Lock(path, Source(path, text), entries, raw["queries"])


def stale_entries(lock: Lock, current: str) -> list[str]:
    """Return the queries for which the lock file differs from the text that lock_text() returned, sorted."""
    now: Mapping[str, Any] = json.loads(current)["queries"]
    return sorted(name for name in {*now, *lock.raw} if now.get(name) != lock.raw.get(name))


def statement_text(signature: BoundFunction) -> str:
    """Return the text that is checked, without the statement's name at the end."""
    return checked_text(signature.query.statement)[0].removesuffix(f" /* {signature.name} */")


def _entry(signature: BoundFunction, description: Description) -> dict[str, Any]:
    names = [argument.name for argument in signature.arguments]
    parameters = list(zip(names, description.parameters, strict=True))
    text = statement_text(signature)
    return {
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "promises": signature.query.cardinality,
        "at_most_one": description.at_most_one,
        "parameters": {name: parameter.type.name for name, parameter in parameters},
        "optional": [argument.name for argument in signature.arguments if argument.allows_none],
        "compared": [name for name, parameter in parameters if parameter.compared],
        "fills": {name: list(parameter.fills) for name, parameter in parameters if parameter.fills},
        "columns": {column.name: _column_text(column) for column in description.columns},
        "can_violate": list(description.can_violate),
        "reads": list(description.lineage.reads),
        "writes": list(description.lineage.writes),
        "calls": list(description.lineage.calls),
        "sql": text.split("\n"),
    }


def _parse(entry: Mapping[str, Any], types: Mapping[str, Any]) -> LockEntry:
    text = "\n".join(entry["sql"])
    if hashlib.sha256(text.encode()).hexdigest() != entry["sha256"]:
        raise ValueError("a statement was edited by hand")
    parameters = tuple(
        StatementParameter(_type(type_, types), tuple(entry["fills"].get(name, ())), name in entry["compared"])
        for name, type_ in entry["parameters"].items()
    )
    columns = tuple(_column(name, text, types) for name, text in entry["columns"].items())
    origin = Lineage(tuple(entry["reads"]), tuple(entry["writes"]), tuple(entry["calls"]))
    unproved = "" if entry["at_most_one"] else "the lock file says so"
    description = Description(
        parameters, columns, entry["at_most_one"], unproved, tuple(entry["can_violate"]), lineage=origin
    )
    names, optional = tuple(entry["parameters"]), frozenset(entry["optional"])
    return LockEntry(text, entry["promises"], names, optional, description)


def _column_text(column: ResultColumn) -> str:
    type_, absence = column.type.name + (_NO_NULLS if column.holds_no_null else ""), column.absence
    if column.never_null or absence is None:
        return type_ + (_NOT_NULL if column.never_null else "")
    return type_ + (_NOT_NULL if absence.only else "") + _ABSENCE + absence.missing


def _column(name: str, text: str, types: Mapping[str, Any]) -> ResultColumn:
    known, _, missing = text.partition(_ABSENCE)
    type_, is_not_null = known.removesuffix(_NOT_NULL), known.endswith(_NOT_NULL)
    absence = Absence(missing, only=is_not_null) if missing else None
    type_, holds_no_null = _type(type_.removesuffix(_NO_NULLS), types), type_.endswith(_NO_NULLS)
    return ResultColumn(name, type_, is_not_null and not missing, absence, holds_no_null)


def _definitions(type_: ServerType) -> dict[str, Any]:
    """Return the entries of a type that is more than its name, and of its parts."""
    if type_.kind == "base":
        return {}
    inner: dict[str, Any] = {}
    for part in (type_.base, *(field_type for _, field_type in type_.fields)):
        inner |= _definitions(part) if part else {}
    definition: dict[str, Any] = {"kind": type_.kind}
    definition |= {"base": type_.base.name} if type_.base else {}
    definition |= {"labels": list(type_.labels)} if type_.labels else {}
    definition |= {"fields": {name: part.name for name, part in type_.fields}} if type_.fields else {}
    return inner | {type_.name: definition}


def _type(name: str, types: Mapping[str, Any]) -> ServerType:
    definition = types.get(name, {"kind": "base"})
    return ServerType(
        name,
        definition["kind"],
        _type(definition["base"], types) if "base" in definition else None,
        tuple(definition.get("labels", ())),
        tuple((part, _type(type_, types)) for part, type_ in definition.get("fields", {}).items()),
    )
