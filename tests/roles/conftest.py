"""The four roles of a test's own database, which go with it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import psycopg
import pytest
from psycopg import sql

from app.db import Database
from app.roles.migrated import login_as
from app.roles.names import KINDS, RoleNames
from app.roles.setup import Outcome, Plan, set_up

Asking = Callable[[str], Awaitable[Database]]


@dataclass(frozen=True, slots=True)
class Roles:
    """A database, and its roles once `set_up` has run."""

    dsn: str
    names: RoleNames
    passwords: dict[str, str]

    async def set_up(self, *statements: str, plan: Plan | None = None) -> Outcome:
        """Set up the roles for a service with these statements."""
        texts = {f"statement {number}": text for number, text in enumerate(statements)}
        outcome = await set_up(self.dsn, replace(plan or Plan(self.names, {}), names=self.names, texts=texts))
        self.passwords.update(outcome.passwords)
        return outcome

    def login(self, kind: str) -> str:
        """The DSN of one of the roles."""
        return login_as(self.dsn, self.names.of(kind), self.passwords[kind])

    async def refusal(self, kind: str, statement: str) -> str:
        """What PostgreSQL says when this role runs the statement; empty if it does it."""
        try:
            async with await psycopg.AsyncConnection.connect(self.login(kind), autocommit=True) as connection:
                await connection.execute(statement.encode())
        except psycopg.Error as error:
            return str(error).partition("\n")[0]
        return ""


@pytest.fixture
async def roles(database_url: str) -> AsyncIterator[Roles]:
    """The roles of this test's own database, not yet set up."""
    found = Roles(database_url, RoleNames(f"roles_{secrets.token_hex(4)}"), {})
    yield found
    drop_roles(database_url, found.names)


def drop_roles(dsn: str, names: RoleNames) -> None:
    """Give the database back to its login and drop the roles."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        for name in map(names.of, KINDS):
            role = sql.Identifier(name)
            if admin.execute("select from pg_roles where rolname = %s", [name]).fetchone() is not None:
                admin.execute(sql.SQL("reassign owned by {} to current_user").format(role))
                admin.execute(sql.SQL("drop owned by {}; drop role {}").format(role, role))
