"""Applies, undoes, lists and creates the migrations in `migrations/`. yoyo runs them."""

# yoyo carries no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import glob
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg import sql
from slugify import slugify
from yoyo import default_migration_table, read_migrations
from yoyo.exceptions import BadMigration

from app.migration_backend import BinderyBackend, backend_for, connect, reason_of
from app.migration_files import MIGRATIONS, MigrationError, migration_ids

__all__ = [
    "BinderyBackend",
    "MigrationState",
    "apply_migrations",
    "list_migrations",
    "new_migration",
    "rollback_migrations",
]


@dataclass(frozen=True, slots=True)
class MigrationState:
    """A migration, and when it was applied to this database: in UTC, or None if it was not."""

    id: str
    applied: bool
    applied_at: datetime | None


def apply_migrations(dsn: str, folder: Path = MIGRATIONS) -> list[str]:
    """Apply pending migrations, each in a transaction of its own. Return the ids that were applied, in order.

    Waits for another process that is migrating the same database. Raises MigrationError; migrations that were applied
    before the failed one stay applied.
    """
    with _session(dsn) as backend:
        pending = backend.to_apply(_read(folder))
        for migration in pending:
            backend.apply_one(migration)
        return [migration.id for migration in pending]


def rollback_migrations(dsn: str, count: int | Literal["all"] = 1, folder: Path = MIGRATIONS) -> list[str]:
    """Undo the newest `count` migrations. Return their ids, newest first. Raises MigrationError."""
    with _session(dsn) as backend:
        applied = list(backend.to_rollback(_read(folder)))
        chosen = applied if count == "all" else applied[:count]
        for migration in chosen:
            backend.rollback_one(migration)
        return [migration.id for migration in chosen]


def list_migrations(dsn: str, folder: Path = MIGRATIONS) -> list[MigrationState]:
    """Return the migrations of the folder, oldest first, then those that only the database has.

    Writes nothing, so that a read-only role can ask. Raises MigrationError.
    """
    applied = _applied(dsn)
    ids = migration_ids(folder)
    unknown = [id_ for id_ in applied if id_ not in ids]
    return [MigrationState(id_, id_ in applied, applied.get(id_)) for id_ in [*ids, *unknown]]


def new_migration(title: str, folder: Path = MIGRATIONS) -> tuple[Path, Path]:
    """Create the next migration and its rollback, named by number and title. Raises MigrationError without a title."""
    slug = slugify(title)
    if not slug:
        raise MigrationError("a migration needs a title made of letters or digits, such as: add articles.language")
    ids = migration_ids(folder)
    number = max((int(found.group()) for id_ in ids if (found := re.match(r"\d{4}(?=\.)", id_))), default=0) + 1
    forward, rollback = (folder / f"{number:04}.{slug}{suffix}" for suffix in (".sql", ".rollback.sql"))
    forward.write_text(f"-- {' '.join(title.split())}\n{' '.join(['-- depends:', *ids[-1:]])}\n\n")
    rollback.write_text(f"-- Undoes {forward.name}\n\n")
    return forward, rollback


@contextmanager
def _session(dsn: str) -> Generator[BinderyBackend]:
    try:
        with backend_for(dsn) as backend, backend.lock():
            yield backend
    except BadMigration as error:
        raise MigrationError(str(error)) from None
    except psycopg.Error as error:
        raise MigrationError(reason_of(error)) from None


def _read(folder: Path) -> Any:
    return read_migrations(glob.escape(str(folder)))


def _applied(dsn: str) -> dict[str, datetime]:
    with connect(dsn) as connection:
        if connection.execute("select to_regclass(%s)", [default_migration_table]).fetchone() == (None,):
            return {}
        table = sql.Identifier(default_migration_table)
        rows = connection.execute(sql.SQL("select migration_id, applied_at_utc from {} order by 2, 1").format(table))
        return {id_: applied_at.replace(tzinfo=UTC) for id_, applied_at in rows}
