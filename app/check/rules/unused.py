"""Find what belongs to nothing, and what is missing: statements, rollbacks, constraints that a binding names."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from app.check.postgres.describe import Description
from app.check.postgres.schema import Schema
from app.check.python.bound_functions import BoundFunction, bound_files
from app.check.python.text_places import first_line
from app.check.rules.exemptions import Exemptions
from app.check.rules.problems import Problem
from app.db.binding.queries import Queries
from app.db.sql.places import Place, Source


def unbound_files(folder: Path, modules: Sequence[ModuleType]) -> Iterator[Problem]:
    """Yield the SQL files of a folder that no module reads."""
    known = {queries.path.resolve() for module in modules for queries in bound_files(module)}
    for path in sorted(folder.glob("*.sql")):
        if path.resolve() not in known:
            yield Problem("", first_line(path), "no module binds functions to this file", "delete it, or bind it")


def unbound_statements(modules: Sequence[ModuleType]) -> Iterator[Problem]:
    """Yield the statements that no function is bound to."""
    for module in modules:
        for queries in bound_files(module):
            for name, statement in queries.statements.items():
                if name not in queries.bound:
                    full_name = f"{queries.path.stem}.{name}"
                    yield Problem(
                        full_name,
                        statement.place,
                        f"no function is bound to {name}",
                        f"delete it, or paste what `check --describe {full_name}` prints",
                        python=f"{first_line(Path(module.__file__ or '')).path.name} has no `async def {name}`",
                    )


def missing_rollbacks(folder: Path) -> Iterator[Problem]:
    """Yield the migrations `x.sql` without a `x.rollback.sql`."""
    for path in sorted(folder.glob("*.sql")):
        rollback = path.with_suffix(".rollback.sql")
        if not path.name.endswith(".rollback.sql") and not rollback.exists():
            yield Problem("", first_line(path), "the migration cannot be undone", f"write {rollback.name}")


def unknown_constraints(modules: Sequence[ModuleType], schema: Schema) -> Iterator[Problem]:
    """Yield the names in `conflicts` and `references` that no constraint, unique index or function has."""
    for module in modules:
        for queries in bound_files(module):
            for name in (*queries.conflicts, *queries.references):
                if name not in schema.constraints:
                    yield _unknown(module, queries, name)


def unmapped_conflicts(signature: BoundFunction, description: Description, allowed: Exemptions) -> Iterator[Problem]:
    """Yield the unique constraints that a statement can violate and that `conflicts` does not have."""
    statement = signature.query.statement
    instead = "" if signature.query.copy else ", write `on conflict …`"
    for name in description.can_violate:
        if name in signature.queries.conflicts or allowed.allow("conflict", name):
            continue
        yield Problem(
            signature.name,
            statement.locate(0),
            f"{signature.query.function} can violate {name}, and nothing says which field that is",
            f'add `"{name}": "<field>"` to `conflicts`{instead}, or say `-- check: conflict {name}, because …`',
            python=f"{signature.place}: conflicts are {', '.join(signature.queries.conflicts) or 'none'}",
            postgresql=f"{name} is unique, and the statement writes to it",
        )


def forgotten_values(signature: BoundFunction, description: Description) -> Iterator[Problem]:
    """Yield the inserts that omit a column which must have a value."""
    if description.forgets:
        names = ", ".join(description.forgets)
        yield Problem(
            signature.name,
            signature.query.statement.locate(0),
            f"the {'copy' if signature.query.copy else 'insert'} leaves out {names} and always fails",
            f"write {names}, or give it a default",
            python=f"{signature.place}: {signature.query.function}",
            postgresql=f"{names} is not null and has no default",
        )


def _unknown(module: ModuleType, queries: Queries, name: str) -> Problem:
    return Problem(
        "",
        _constant(Path(module.__file__ or ""), name),
        f"there is no constraint or unique index {name}",
        "name one that exists, or delete the entry",
        python=f"{queries.path.stem}: {name} in conflicts or references",
        postgresql="no constraint, no unique index and no function that raises this name",
    )


def _constant(path: Path, value: str) -> Place:
    """Return the place of a string in a module, or of the module's beginning."""
    source = Source(path, path.read_text(encoding="utf-8"))
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.Constant) and node.value == value:
            line = source.text.splitlines()[node.lineno - 1]
            return Place(path, node.lineno, len(line.encode()[: node.col_offset].decode()) + 1, line)
    return source.place(0)
