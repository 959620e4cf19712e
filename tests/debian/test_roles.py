"""The roles on a server that asks for passwords, and whose trees are those of PostgreSQL 15."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest

from app.roles.names import RoleNames
from tests.debian.databases import direct_url
from tests.roles.conftest import Roles, drop_roles
from tests.roles.test_setup import ADD, READ, SHOPS, execute

__all__ = ["direct_url"]

pytestmark = pytest.mark.debian


@pytest.fixture
async def roles(database_url: str) -> AsyncIterator[Roles]:
    execute(database_url, SHOPS)
    found = Roles(database_url, RoleNames(f"roles_{secrets.token_hex(4)}"), {})
    yield found
    drop_roles(database_url, found.names)


async def test_the_application_logs_in_with_its_password_and_does_what_its_statements_do(roles: Roles) -> None:
    await roles.set_up(READ, ADD)

    assert await roles.refusal("application", "select name from shops where id = 1") == ""
    assert await roles.refusal("application", "insert into shops (name) values ('b') returning id") == ""
    assert "permission denied" in await roles.refusal("application", "select code from shops")
    assert "permission denied" in await roles.refusal("application", "delete from shops")


async def test_a_wrong_password_of_a_role_is_refused(roles: Roles) -> None:
    await roles.set_up(READ)
    roles.passwords["application"] = "another"

    assert "password authentication failed" in await roles.refusal("application", "select 1")
