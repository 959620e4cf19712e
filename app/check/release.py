"""Compare a query of an older release with what PostgreSQL says of it on a newer schema."""

from collections.abc import Iterator

import asyncpg

from app.check.lock import Lock, LockEntry
from app.check.postgres.describe import Description, ResultColumn, describe
from app.check.postgres.schema import Schema
from app.check.postgres.server_types import ServerConnection, ServerType, without_domain
from app.check.python.type_text import python_type
from app.check.rules.problems import Problem

MEND = "let the release that still runs keep what it needs: add first, deploy, and take away in a later migration"

# In bytes.
_WIDTHS = {"smallint": 2, "integer": 4, "bigint": 8}


async def check_release(connection: ServerConnection, schema: Schema, lock: Lock) -> list[Problem]:
    """Return what this schema breaks for the release that wrote this lock file."""
    problems: list[Problem] = []
    for name, entry in lock.entries.items():
        try:
            description = await describe(connection, schema, entry.text, entry.given)
        except asyncpg.PostgresError as error:
            problems.append(_refused(lock, name, error))
        except Exception as error:
            # The others are checked all the same.
            message = f"{name} cannot be checked: {type(error).__name__}: {error}"
            problems.append(Problem(name, lock.place(name), message, MEND))
        else:
            problems += [
                Problem(name, lock.place(name), f"the schema breaks {name}: {change}", MEND)
                for change in _changes(entry, description)
            ]
    return problems


def _refused(lock: Lock, name: str, error: asyncpg.PostgresError) -> Problem:
    position: str | None = error.position
    place = lock.locate(name, int(position) - 1) if position else lock.place(name)
    return Problem(name, place, f"the schema breaks {name}: {error}", MEND, postgresql=str(error))


def _changes(entry: LockEntry, now: Description) -> Iterator[str]:
    yield from _parameter_changes(entry, now)
    yield from _column_changes(entry.description, now)
    if entry.description.at_most_one and not now.at_most_one and entry.promises in {"one", "optional"}:
        yield f"it can yield several rows: {now.unproved}"
    for column in now.forgets:
        yield f"its insert leaves out {column}, which is not null and has no default"
    for constraint in now.can_violate:
        if constraint not in entry.description.can_violate:
            yield f"it can violate {constraint}, which it does not know"


def _parameter_changes(entry: LockEntry, now: Description) -> Iterator[str]:
    for name, old, new in zip(entry.parameters, entry.description.parameters, now.parameters, strict=True):
        if change := type_change(old.type, new.type, writes=True):
            yield f":{name} {change}"
        if name in entry.optional and new.fills and not old.fills:
            yield f":{name} may be null, and goes into {', '.join(new.fills)}, which cannot be any more"


def _column_changes(old: Description, now: Description) -> Iterator[str]:
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in now.columns}
    for name in before:
        if name not in after:
            yield f"the column {name} is gone"
    for name, column in after.items():
        if name not in before:
            yield f"the column {name} is new, and no field takes it"
        elif change := type_change(before[name].type, column.type, writes=False):
            yield f"the column {name} {change}"
        elif _is_known(before[name]) and not _is_known(column):
            yield f"the column {name} was never null and can be"
        elif before[name].holds_no_null and not column.holds_no_null:
            yield f"the column {name} held no nulls and can hold some"


def _is_known(column: ResultColumn) -> bool:
    """Return whether a null in it is none that a field without `| None` could get."""
    return column.never_null or (column.absence is not None and column.absence.only)


def type_change(old: ServerType, new: ServerType, *, writes: bool) -> str | None:
    """Return the difference between two types to Python; None if there is none, as for a wider integer."""
    old, new = without_domain(old), without_domain(new)
    if old.kind == new.kind == "array" and old.base and new.base:
        return type_change(old.base, new.base, writes=writes)
    if old.kind == new.kind == "enum":
        return _label_change(old, new, writes=writes)
    narrower = writes and _WIDTHS.get(new.name, 8) < _WIDTHS.get(old.name, 0)
    if python_type(old) == python_type(new) and not narrower:
        return None
    return f"was {old.name} and is {new.name}"


def _label_change(old: ServerType, new: ServerType, *, writes: bool) -> str | None:
    """Return why an enum breaks: it must keep the labels that are written, and yield no new ones."""
    lost = sorted({*old.labels} - {*new.labels}) if writes else sorted({*new.labels} - {*old.labels})
    return f"is {new.name}, which {'lost' if writes else 'gained'} {', '.join(lost)}" if lost else None
