"""Databases of their own on Debian's server."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from tests.databases import memory, replace_database
from tests.debian.conftest import DebianPostgres


@contextmanager
def fresh_database(server_dsn: str) -> Generator[str]:
    """The DSN of an empty database, which is dropped at the end.

    Without TLS, which has other tests: the driver does not wait for its end where it cancelled something.
    """
    name = f"bindery_{secrets.token_hex(6)}_test"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        # As on the embedded server: a copy of the files, where they are in memory.
        strategy = sql.SQL("file_copy" if memory() else "wal_log")
        server.execute(sql.SQL("create database {} strategy {}").format(sql.Identifier(name), strategy))
        try:
            yield f"{replace_database(server_dsn, name)}?sslmode=disable"
        finally:
            server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def direct_url(debian_postgres: DebianPostgres) -> Iterator[str]:
    """A database on PostgreSQL 15, in place of the one on the embedded server."""
    with fresh_database(debian_postgres.dsn) as dsn:
        yield dsn
