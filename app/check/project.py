"""Check a project: on a server, against a lock file, or for an older release."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import asyncpg

from app.check.checks import Checked, Report, check_description, check_query, check_together
from app.check.lock import Lock, LockError, lock_text, read_lock, stale_entries, statement_text
from app.check.permitted import check_rights
from app.check.postgres.schema import Schema, load_schema
from app.check.python.bound_functions import BoundFunction, bound_functions
from app.check.release import check_release
from app.check.rules.exemptions import Exemptions
from app.check.rules.problems import Problem
from app.check.rules.unused import missing_rollbacks, unbound_files, unbound_statements, unknown_constraints
from app.db.sql.places import shown

# How many queries are named for which the lock file is out of date.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Project:
    """What the checker needs to know of a project."""

    load: Callable[[], Sequence[ModuleType]]
    """Imports the modules that bind functions to statements."""
    server: Callable[[], AbstractContextManager[str]]
    """The DSN of a server that may get a scratch database, for as long as it is needed."""
    migrate: Callable[[str], object]
    """Brings the database of a DSN up to date."""
    migrations: Path
    """The folder of `x.sql` and `x.rollback.sql`."""
    sql: Path
    """The folder of the SQL files, and of the lock file."""
    statements: Mapping[str, str] = field(default_factory=dict[str, str])
    """What else the service runs, by name: no function is bound to it, and the application needs the rights for it."""

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.sql / "lock.json"


async def check_on_server(project: Project, dsn: str, modules: Sequence[ModuleType]) -> Report:
    """Check every bound function of the modules against the migrated database of this DSN."""
    connection = await asyncpg.connect(dsn)
    try:
        schema = await load_schema(connection)
        queries = [await check_query(connection, schema, signature) for signature in bound_functions(modules)]
        report = Report(queries, list(_others(project, modules, queries, schema)))
        report.others.extend(await check_rights(connection, report.described, project.statements))
        return report
    finally:
        await connection.close()


async def release_problems(dsn: str, lock: Lock) -> list[Problem]:
    """Return what the schema of this DSN breaks for the release that wrote the lock file."""
    connection = await asyncpg.connect(dsn)
    try:
        return await check_release(connection, await load_schema(connection), lock)
    finally:
        await connection.close()


def check_offline(project: Project, modules: Sequence[ModuleType]) -> Report:
    """Check every bound function against the lock file. Raises LockError without one."""
    lock = read_lock(project.lock)
    queries = [_against_lock(signature, lock) for signature in bound_functions(modules)]
    others = [
        *unbound_files(project.sql, modules),
        *unbound_statements(modules),
        *missing_rollbacks(project.migrations),
        *check_together(queries, plans=False),
        *_departed(lock, queries),
    ]
    return Report(queries, others)


def lock_problem(project: Project, report: Report) -> Problem | None:
    """Return one problem, of one line, if the lock file differs from what was found; None if it does not."""
    try:
        stale = stale_entries(read_lock(project.lock), lock_text(report.described))
    except LockError as error:
        return Problem("", None, str(error))
    # What PostgreSQL refuses is reported already, and has no entry.
    refused = {checked.signature.name for checked in report.queries if checked.description is None}
    stale = [name for name in stale if name not in refused]
    if not stale:
        return None
    more = f" and {len(stale) - _NAMED} more" if len(stale) > _NAMED else ""
    told = f"{shown(project.lock)} is older than {', '.join(stale[:_NAMED])}{more}"
    return Problem("", None, f"{told}: run `check --lock` and commit the file")


def _others(
    project: Project, modules: Sequence[ModuleType], queries: Sequence[Checked], schema: Schema
) -> Iterator[Problem]:
    yield from unbound_files(project.sql, modules)
    yield from unbound_statements(modules)
    yield from missing_rollbacks(project.migrations)
    yield from unknown_constraints(modules, schema)
    yield from check_together(queries, plans=True)


def _against_lock(signature: BoundFunction, lock: Lock) -> Checked:
    allowed, entry = Exemptions(signature.query.statement.check_notes), lock.entries.get(signature.name)
    if entry is None or entry.text != statement_text(signature):
        message = (
            "the statement is not in the lock file" if entry is None else "the statement changed since it was locked"
        )
        place = signature.query.statement.place
        return Checked(signature, None, [Problem(signature.name, place, message, "run `check --lock`")], allowed)
    return Checked(
        signature, entry.description, list(check_description(signature, entry.description, allowed)), allowed
    )


def _departed(lock: Lock, queries: Sequence[Checked]) -> Iterator[Problem]:
    bound = {checked.signature.name for checked in queries}
    for name in lock.entries.keys() - bound:
        yield Problem(
            name, lock.place(name), f"the lock file has {name}, which is no longer bound", "run `check --lock`"
        )
