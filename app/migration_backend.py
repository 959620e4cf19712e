"""The yoyo backend that reads the application's settings, locks properly and records what it did with what it did."""

# yoyo carries no types.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

import os
import re
import socket
import sys
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import psycopg
from yoyo import default_migration_table
from yoyo.backends import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import Migration, read_sql_migration

from app.embedded import DEFAULT_FOLDER, EmbeddedError, EmbeddedPostgres
from app.migration_files import MigrationError
from app.settings import SettingsError, load_settings

CONNECT_TIMEOUT = 10
# Seconds to wait for another migrator: long enough for a large index, short enough for a deployment to say what is
# wrong.
LOCK_TIMEOUT = 60.0
LOCK_POLL = 0.2
LOCK_KEY = int.from_bytes(b"bindery!")


class BinderyBackend(PostgresqlPsycopgBackend):
    """What `database = bindery:///` in yoyo.ini stands for: the database of the application's settings.

    At the `yoyo` command line an error is one line and exit code 1; from the functions here it is a MigrationError.
    Each migration and the record of it are one transaction, so that neither can exist without the other.
    """

    def connect(self, dburi: DatabaseURI) -> psycopg.Connection[Any]:
        """A connection to the DSN that `backend_for` put into the URI, else to the one of the settings."""
        try:
            return connect(dburi.args.get("dsn") or _dsn_of_the_settings())
        except (MigrationError, SettingsError, EmbeddedError) as error:
            self._fail(str(error))

    def init_database(self) -> None:
        """Nothing: yoyo would create a table for its lock and try out whether PostgreSQL rolls back DDL."""

    @contextmanager
    def lock(self, timeout: float = LOCK_TIMEOUT) -> Generator[None]:
        """Keep other migrators out, waiting up to `timeout` seconds for one that is at work.

        yoyo's own lock is a row, which a killed migrator leaves behind for ever; this one ends with its connection.
        """
        if self._is_locked:
            yield
            return
        self._wait_for_lock(timeout)
        self._is_locked = True
        try:
            yield
        finally:
            self._is_locked = False
            if not self.connection.closed:
                self.execute("select pg_advisory_unlock(:key)", {"key": LOCK_KEY})

    def break_lock(self) -> None:
        """Nothing to break: the lock ends with the connection of the process that holds it."""

    def ensure_internal_schema_updated(self) -> None:
        """Create yoyo's tables where they are missing, under the lock: two processes may be the first."""
        if not self._internal_schema_updated:
            with self.lock():
                super().ensure_internal_schema_updated()
                self._internal_schema_updated = True

    def apply_one(self, migration: Migration, force: bool = False, mark: bool = True) -> None:
        """Apply one migration and record it."""
        self.ensure_internal_schema_updated()
        with self._reported(Path(migration.path)), self._steps(migration, "apply", force):
            self.log_migration(migration, "apply")
            if mark:
                self.mark_one(migration, log=False)

    def rollback_one(self, migration: Migration, force: bool = False) -> None:
        """Undo one migration and forget it; one without a rollback file is refused, where yoyo would only forget it."""
        self.ensure_internal_schema_updated()
        path = Path(migration.path).with_suffix(".rollback.sql")
        if migration.is_raw_sql() and not read_sql_migration(str(path))[2]:
            self._fail(f"{path.name} is missing or holds no statement; write what undoes {migration.id}")
        with self._reported(path), self._steps(migration, "rollback", force):
            self.log_migration(migration, "rollback")
            self.unmark_one(migration, log=False)

    def get_log_data(self, migration: Migration | None = None, operation: str = "apply") -> dict[str, Any]:
        """The row for yoyo's log; yoyo's own asks the DNS for a name, and fails for a user without a passwd entry."""
        return {
            "id": str(uuid.uuid1()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": os.environ.get("USER", str(os.geteuid())),
            "hostname": socket.gethostname(),
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }

    @contextmanager
    def _steps(self, migration: Migration, direction: str, force: bool) -> Generator[None]:
        """Run the migration; the body records it, in the same transaction unless the file asks for none."""
        migration.load()
        if not migration.use_transactions:
            with self.copy() as other:
                migration.process_steps(other, direction, force=force)
        with self.transaction():
            if migration.use_transactions:
                migration.process_steps(self, direction, force=force)
            yield

    @contextmanager
    def _reported(self, path: Path) -> Generator[None]:
        try:
            yield
        except psycopg.Error as error:
            self._fail(f"{_place(path, error)}: {reason_of(error)}")

    def _wait_for_lock(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        # Asked again and again: a statement that waits holds a snapshot, and `create index concurrently` in the other
        # migrator would wait for that.
        while not self.execute("select pg_try_advisory_lock(:key)", {"key": LOCK_KEY}).fetchone()[0]:
            if time.monotonic() >= deadline:
                self._fail(
                    f"another process is migrating this database, and has not finished within {timeout:g} seconds;"
                    " try again when it has"
                )
            time.sleep(LOCK_POLL)

    def _fail(self, message: str) -> NoReturn:
        if "dsn" in self.uri.args:
            raise MigrationError(message)
        raise SystemExit(message)


class _NotingCursor(psycopg.Cursor[Any]):
    """Notes the statement on the error that it causes, from which its line in the file is found."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> "_NotingCursor":
        try:
            return super().execute(query, params, **options)
        except psycopg.Error as error:
            error.add_note(str(query))
            raise


def backend_for(dsn: str) -> BinderyBackend:
    """A backend on the database of `dsn`. Raises MigrationError when it cannot be reached."""
    return BinderyBackend(DatabaseURI("bindery", None, None, None, None, None, {"dsn": dsn}), default_migration_table)


def connect(dsn: str) -> psycopg.Connection[Any]:
    """A connection in autocommit that shows warnings; MigrationError for none within CONNECT_TIMEOUT seconds a host."""
    try:
        connection = psycopg.connect(
            dsn,
            autocommit=True,
            cursor_factory=_NotingCursor,
            connect_timeout=CONNECT_TIMEOUT,
            fallback_application_name="bindery migrations",
        )
    except psycopg.Error as error:
        attempts = dict.fromkeys(re.findall("connection to server .*", str(error))) or [reason_of(error)]
        raise MigrationError(f"the database cannot be reached: {'; '.join(attempts)}") from None
    connection.add_notice_handler(_show_warning)
    return connection


def _show_warning(said: psycopg.errors.Diagnostic) -> None:
    """Show what a migration found, by `raise warning`; on standard error, since yoyo logs nothing below an error."""
    if said.severity_nonlocalized == "WARNING":
        print(f"WARNING: {said.message_primary}", file=sys.stderr, flush=True)


@cache
def _dsn_of_the_settings() -> str:
    settings = load_settings(needs_secret_key=False)
    return settings.migration_dsn if settings.names_a_database else EmbeddedPostgres(DEFAULT_FOLDER).start()


def _place(path: Path, error: psycopg.Error) -> str:
    statement = "".join(getattr(error, "__notes__", []))
    text = path.read_text() if path.exists() else ""
    start = text.find(statement)
    if not statement or start < 0:
        return path.name
    end = start + int(error.diag.statement_position or 1) - 1
    return f"{path.name}, line {text.count(chr(10), 0, end) + 1}"


def reason_of(error: psycopg.Error) -> str:
    """What the database said, with its detail and hint, in one line."""
    parts = [error.diag.message_primary or str(error), error.diag.message_detail, error.diag.message_hint]
    return " ".join("; ".join(part for part in parts if part).split())
