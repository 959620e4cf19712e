"""Databases of their own on Debian's server."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from tests.databases import replace_database


@contextmanager
def fresh_database(server_dsn: str) -> Generator[str]:
    """The DSN of an empty database, which is dropped at the end."""
    name = f"bindery_{secrets.token_hex(6)}_test"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield replace_database(server_dsn, name)
        finally:
            server.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
