"""Passwords, and their rotation under load, on a server that asks for them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from app.db import Database, DatabaseUnavailable
from tests.db.pools import get_number, get_pid, pool, until
from tests.debian.conftest import DebianPostgres

pytestmark = pytest.mark.debian


class Account:
    """A role with a password, which can be changed."""

    def __init__(self, server: psycopg.Connection, server_dsn: str) -> None:
        self._server = server
        self.name = f"app_{secrets.token_hex(4)}"
        self._execute("create role {} login")
        self.password = self.change()
        parts = urlsplit(server_dsn)
        self.dsn = urlunsplit(parts._replace(netloc=f"{self.name}@{parts.hostname}:{parts.port}"))

    def change(self) -> str:
        self.password = secrets.token_urlsafe()
        self._server.execute(
            sql.SQL("alter role {} password {}").format(sql.Identifier(self.name), sql.Literal(self.password))
        )
        return self.password

    def drop(self) -> None:
        self._server.execute(
            "select pg_terminate_backend(pid, 20000) from pg_stat_activity where usename = %s", [self.name]
        )
        self._execute("drop role {}")

    def _execute(self, statement: str) -> None:
        self._server.execute(sql.SQL(statement).format(sql.Identifier(self.name)))  # pyright: ignore[reportArgumentType] - only ours


@pytest.fixture
def account(debian_postgres: DebianPostgres) -> Iterator[Account]:
    """An account of this test's own."""
    with psycopg.connect(debian_postgres.dsn, autocommit=True) as server:
        account = Account(server, debian_postgres.dsn)
        yield account
        account.drop()


async def test_a_password_may_be_a_string_a_file_or_a_function(account: Account, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(account.password + "\nand a remark\n")

    async def ask() -> str:
        await asyncio.sleep(0)
        return account.password

    for password in (account.password, file, lambda: account.password, ask):
        async with pool(account.dsn, password=password) as db:
            assert await get_number(db, number=1) == 1


async def test_a_wrong_password_is_told_and_not_shown(account: Account, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3same")

    with pytest.raises(DatabaseUnavailable, match="refuses the login") as caught:
        await Database(account.dsn, password=file).connect()
    assert "s3same" not in str(caught.value)


async def test_a_password_file_that_is_missing_is_named(account: Account, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"cannot read the password from .*nowhere"):
        await Database(account.dsn, password=tmp_path / "nowhere").connect()


async def test_a_function_that_fails_is_a_failure_to_connect(account: Account) -> None:
    def fail() -> str:
        raise LookupError("the vault is sealed")

    with pytest.raises(DatabaseUnavailable, match="the vault is sealed"):
        await Database(account.dsn, password=fail).connect()


async def test_a_password_changes_without_one_failed_request(account: Account, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(account.password)
    stopped = asyncio.Event()
    pids: set[int] = set()

    async def ask(db: Database) -> int:
        count = 0
        while not stopped.is_set():
            pids.add(await get_pid(db))
            count += 1
            await asyncio.sleep(0)
        return count

    async with (
        pool(account.dsn, password=file, min_size=2, max_size=4) as first,
        pool(account.dsn, password=file, min_size=1, max_size=2) as second,
    ):
        asking = [asyncio.create_task(ask(db)) for db in (first, first, first, second)]
        for _ in range(3):
            connects = [db.statistics().connects for db in (first, second)]
            old = set(pids)
            await asyncio.to_thread(lambda: file.write_text(account.change()))
            first.retire_connections()
            second.retire_connections()
            await until(lambda old=old: pids - old)
            await until(
                lambda connects=connects: all(
                    db.statistics().connects > before for db, before in zip((first, second), connects, strict=True)
                )
            )
        stopped.set()
        counts = await asyncio.gather(*asking)

        assert all(counts)
        assert first.statistics().evictions.keys() == second.statistics().evictions.keys() == {"retired"}


async def test_a_retired_connection_is_closed_when_it_is_given_back(account: Account) -> None:
    async with pool(account.dsn, password=account.password) as db:
        async with db.acquire() as connection:
            pid = await get_pid(connection)
            db.retire_connections()
            await asyncio.sleep(0.05)
            assert await get_pid(connection) == pid
        assert await get_pid(db) != pid
        assert db.statistics().evictions == {"retired": 1}
