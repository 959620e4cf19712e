"""The databases of the tests: one migrated template, copied for every test and dropped after it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from app.db import Database
from tests.pgbouncer import is_in_between

SHARED_MEMORY, ROOM = Path("/dev/shm"), 8 * 2**30
_END_OTHER_SESSIONS = """
    select pg_terminate_backend(pid, $1)
    from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
"""


def refuse_unless_test_database(dsn: str) -> None:
    """Raise ValueError unless the database that `dsn` names is one for tests: its name ends in _test."""
    name = conninfo_to_dict(dsn).get("dbname")
    if not str(name or "").endswith("_test"):
        raise ValueError(
            f"TEST_DATABASE_URL names the database {name!r}: tests only touch a server through a database whose name "
            "ends in _test, so that a wrong address cannot reach real data"
        )


def memory() -> Path | None:
    """Where files are kept in memory, if there is room: each of thousands of tests copies a database of 300 files."""
    return SHARED_MEMORY if SHARED_MEMORY.exists() and shutil.disk_usage(SHARED_MEMORY).free > ROOM else None


def replace_database(dsn: str, name: str) -> str:
    """The URL `dsn` with another database in it."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(path="/" + quote(name, safe="")))


def replace_user(dsn: str, name: str) -> str:
    """The URL `dsn` with another user in it, without a password."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{quote(name, safe='')}@{parts.netloc.rpartition('@')[2]}"))


async def end_other_sessions(db: Database, seconds: float = 0) -> int:
    """End every session on this test's own database but the one that does it, wait for that, and return how many."""
    return len(await db.fetch(_END_OTHER_SESSIONS, int(seconds * 1000)))


async def set_read_only(db: Database, state: str) -> None:
    """Let new sessions on this test's own database take no writes ("on"), or take them ("off").

    A PgBouncer keeps its sessions, whatever its clients do: they are ended here, as by its RECONNECT.
    """
    name = await db.fetchval("select quote_ident(current_database())")
    await db.execute(
        f"set transaction_read_only = off; alter database {name} set default_transaction_read_only = {state}"
    )
    if is_in_between():
        # PgBouncer takes a client's connection away if its session ends while it gets it.
        await end_other_sessions(db, seconds=30)


class TemplateDatabase:
    """A database that nobody connects to, and that `copy` copies in a few milliseconds.

    Names carry a random part, so that several runs and workers can share one server.
    """

    def __init__(self, server: psycopg.Connection, dsn: str) -> None:
        self._server = server
        self._server_dsn = dsn
        self._copies = 0
        self.application: tuple[str, str] = ("", "")
        """The login of a service on a copy, and its password."""
        self.name = f"bindery_{secrets.token_hex(6)}_test"
        self.dsn = replace_database(dsn, self.name)

    def create(self) -> None:
        """Create the template, empty and open for its migrations."""
        self._execute("create database {}", self.name)

    def freeze(self) -> None:
        """Refuse connections from now on: a copy fails while somebody is connected."""
        self._execute("alter database {} with allow_connections false", self.name)

    def drop(self) -> None:
        """Drop the template; not an error when it was never created."""
        self._execute("drop database if exists {} with (force)", self.name)

    @contextmanager
    def copy(self) -> Generator[str]:
        """A DSN of a fresh copy, which is dropped at the end, whoever is still connected."""
        self._copies += 1
        name = f"{self.name.removesuffix('_test')}_{self._copies}_test"
        # A copy of the files, which is faster where they are in memory; PostgreSQL's default writes them to its log.
        strategy = "file_copy" if quote("/dev/shm/", safe="") in self._server_dsn else "wal_log"
        self._execute("create database {} template {} strategy {}", name, self.name, strategy)
        try:
            yield replace_database(self._server_dsn, name)
        finally:
            self._execute("drop database if exists {} with (force)", name)

    def _execute(self, statement: LiteralString, *names: str) -> None:
        self._server.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
