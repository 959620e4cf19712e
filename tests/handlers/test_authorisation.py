"""Who may do what: every operation, asked by everyone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from app.db import Database
from app.http.operations import Operation
from app.main import operations
from tests.documented import outcome
from tests.handlers.people import Person

MISSING, INVALID = (401, {"token": ["is missing"]}), (401, {"token": ["is invalid"]})
CREDENTIALS = {"user": {"email": "ann@example.com", "password": "ann's password"}}


@dataclass(frozen=True, slots=True)
class Statuses:
    """What a stranger, another user, and the owner of what is touched get."""

    stranger: int
    other: int
    owner: int


EXPECTED = {
    "POST /api/users/login": Statuses(200, 200, 200),
    "POST /api/users": Statuses(201, 201, 201),
    "GET /api/user": Statuses(401, 200, 200),
    "PUT /api/user": Statuses(401, 200, 200),
    "DELETE /api/user/tokens": Statuses(401, 204, 204),
    "GET /api/users": Statuses(200, 200, 200),
    "GET /api/profiles/{username}": Statuses(200, 200, 200),
    "POST /api/profiles/{username}/follow": Statuses(401, 200, 200),
    "DELETE /api/profiles/{username}/follow": Statuses(401, 200, 200),
    "GET /api/articles": Statuses(200, 200, 200),
    "GET /api/articles/feed": Statuses(401, 200, 200),
    "GET /api/articles/export": Statuses(401, 200, 200),
    "POST /api/articles": Statuses(401, 201, 201),
    "GET /api/articles/{slug}": Statuses(200, 200, 200),
    "PUT /api/articles/{slug}": Statuses(401, 403, 200),
    "DELETE /api/articles/{slug}": Statuses(401, 403, 204),
    "GET /api/articles/{slug}/comments": Statuses(200, 200, 200),
    "POST /api/articles/{slug}/comments": Statuses(401, 201, 201),
    "DELETE /api/articles/{slug}/comments/{id}": Statuses(401, 403, 204),
    "POST /api/articles/{slug}/favorite": Statuses(401, 200, 200),
    "DELETE /api/articles/{slug}/favorite": Statuses(401, 200, 200),
    "GET /api/tags": Statuses(200, 200, 200),
    "GET /health/live": Statuses(200, 200, 200),
    "GET /health/ready": Statuses(200, 200, 200),
}
OPERATIONS = {f"{operation.method} {operation.path}": operation for operation in operations()}


def test_each_operation_says_who_may_use_it() -> None:
    assert EXPECTED.keys() == OPERATIONS.keys()


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests for one operation on what ann owns."""

    client: httpx2.AsyncClient
    operation: Operation
    path: str

    async def by(self, name: str, token: str | None) -> httpx2.Response:
        """The answer to the person of this name, who may be anyone."""
        headers = {} if token is None else {"Authorization": f"Token {token}"}
        return await self.client.request(self.operation.method, self.path, headers=headers, json=self._body(name))

    def _body(self, name: str) -> Mapping[str, Any] | None:
        if self.operation.body is None:
            return None
        if self.operation.path == "/api/users/login":
            return CREDENTIALS
        envelope, fields = self.operation.body
        names = {"username": f"{name}2", "email": f"{name}2@example.com"} if self.operation.path == "/api/users" else {}
        return {envelope: {**fields.EXAMPLE, **names}}


@pytest.fixture
async def asked(request: pytest.FixtureRequest, client: httpx2.AsyncClient, ann: Person) -> Asked:
    article = await ann.writes()
    comment = await ann.comments(article)
    operation = OPERATIONS[request.param]
    path = operation.path.format(slug=article["slug"], id=comment["id"], username="ann")
    return Asked(client, operation, path)


@pytest.fixture
async def gone(db: Database, app: Starlette) -> str:
    """The token of a user whose row is gone."""
    user_id = await _insert(db, "gone")
    await db.execute("delete from users where id = $1", user_id)
    return app.state.tokens.issue(user_id)


@pytest.fixture
async def ended(db: Database, app: Starlette) -> str:
    """A token from before its user ended them all."""
    user_id = await _insert(db, "ended")
    await db.execute("update users set token_generation = 3 where id = $1", user_id)
    return app.state.tokens.issue(user_id, 2)


async def _insert(db: Database, name: str) -> int:
    insert = "insert into users (username, email, password_hash) values ($1, $1 || '@example.com', '') returning id"
    return await db.fetchval(insert, name)


IGNORING = [name for name, operation in OPERATIONS.items() if operation.body and operation.viewer == "ignored"]


@pytest.mark.parametrize("asked", IGNORING, indirect=True)
async def test_a_token_that_nobody_asked_for_hides_no_mistake_in_a_request(asked: Asked, ended: str) -> None:
    answer = await asked.client.post(asked.path, headers={"Authorization": f"Token {ended}"}, json={})

    assert answer.status_code == 422


@pytest.mark.parametrize("asked", EXPECTED, indirect=True)
async def test_who_may_do_it(asked: Asked, ann: Person, bob: Person, gone: str, ended: str) -> None:
    expected = EXPECTED[f"{asked.operation.method} {asked.operation.path}"]

    # The owner comes last: what is deleted then was there for the others.
    stranger = await asked.by("stranger", None)
    for name, token in (("gone", gone), ("ended", ended), ("forged", f"{ann.token[:-4]}AAAA")):
        answer = await asked.by(name, token)
        if asked.operation.viewer == "ignored":
            assert answer.status_code == expected.stranger, name
        else:
            assert outcome(answer) == INVALID, name
    other = await asked.by("other", bob.token)
    owner = await asked.by("owner", ann.token)

    assert Statuses(stranger.status_code, other.status_code, owner.status_code) == expected
    assert asked.operation.viewer != "required" or outcome(stranger) == MISSING
