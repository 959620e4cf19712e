"""Create a database on a server, migrate it, and drop it when the check is over."""

import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql


class ScratchError(Exception):
    """The server cannot provide a scratch database. The message says why."""


@contextmanager
def scratch_database(server_dsn: str, migrate: Callable[[str], object]) -> Generator[str]:
    """Yield the DSN of a new database on this server, migrated by `migrate`. It is dropped at the end.

    The login needs the right to create databases. Raises ScratchError when it cannot connect or create one.
    """
    name = f"bindery_check_{secrets.token_hex(6)}"
    dsn = _replace_database(server_dsn, name)
    try:
        server = psycopg.connect(server_dsn, autocommit=True)
    except psycopg.Error as error:
        raise ScratchError(f"the server of the scratch database cannot be reached: {_one_line(error)}") from None
    with server:
        try:
            server.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        except psycopg.Error as error:
            raise ScratchError(f"the server gives no scratch database: {_one_line(error)}") from None
        try:
            migrate(dsn)
            yield dsn
        finally:
            server.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _replace_database(dsn: str, name: str) -> str:
    try:
        parts = urlsplit(dsn)
    except ValueError as error:
        raise ScratchError(f"the server of the scratch database has no valid address: {error}") from None
    if parts.scheme not in {"postgresql", "postgres"}:
        # Without the address, which may hold a password.
        raise ScratchError("the server of the scratch database has an address that is no postgresql://…")
    return urlunsplit(parts._replace(path="/" + quote(name)))


def _one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
