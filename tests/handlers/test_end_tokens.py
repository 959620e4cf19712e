"""Logging out everywhere: DELETE /api/user/tokens."""

from __future__ import annotations

import httpx2

from app.db import Database
from app.settings import Settings
from tests.documented import outcome
from tests.handlers.people import Person
from tests.handlers.test_tokens import INVALID, current_user, service_on


async def log_in(client: httpx2.AsyncClient, person: Person) -> str:
    credentials = {"email": person.email, "password": person.password}
    answer = await client.post("/api/users/login", json={"user": credentials})
    assert answer.status_code == 200, answer.text
    return answer.json()["user"]["token"]


async def test_every_token_from_before_is_invalid_afterwards_and_a_new_one_is_good(
    client: httpx2.AsyncClient, ann: Person, bob: Person
) -> None:
    tokens = [ann.token, await log_in(client, ann)]

    assert (await ann.delete("/api/user/tokens")).status_code == 204

    for token in tokens:
        assert outcome(await current_user(client, f"Token {token}")) == INVALID
        assert outcome(await client.get("/api/articles", headers={"Authorization": f"Token {token}"})) == INVALID
    new = await log_in(client, ann)
    answer = await current_user(client, f"Token {new}")
    assert (answer.status_code, answer.json()["user"]["token"]) == (200, new)
    assert (await bob.get("/api/user")).status_code == 200


async def test_a_process_that_remembers_the_token_refuses_it_too(ann: Person, settings: Settings) -> None:
    async with service_on(settings) as elsewhere:
        assert (await current_user(elsewhere, f"Token {ann.token}")).status_code == 200

        assert (await ann.delete("/api/user/tokens")).status_code == 204

        assert outcome(await current_user(elsewhere, f"Token {ann.token}")) == INVALID


async def test_tokens_can_be_ended_again_and_again(client: httpx2.AsyncClient, ann: Person) -> None:
    for _ in range(3):
        token = await log_in(client, ann)
        headers = {"Authorization": f"Token {token}"}
        assert (await client.delete("/api/user/tokens", headers=headers)).status_code == 204
        assert outcome(await client.delete("/api/user/tokens", headers=headers)) == INVALID


async def test_a_changed_password_ends_no_token(ann: Person) -> None:
    assert (await ann.put("/api/user", {"user": {"password": "battery staple"}})).status_code == 200

    assert (await ann.get("/api/user")).status_code == 200


async def test_a_write_with_an_ended_token_stores_nothing(ann: Person, db: Database) -> None:
    article = await ann.writes()
    assert (await ann.delete("/api/user/tokens")).status_code == 204

    new = {"title": "A", "description": "B", "body": "C"}
    for answer in (
        await ann.post("/api/articles", {"article": new}),
        await ann.put(f"/api/articles/{article['slug']}", {"article": new}),
        await ann.delete(f"/api/articles/{article['slug']}"),
        await ann.post(f"/api/articles/{article['slug']}/favorite"),
        await ann.post(f"/api/articles/{article['slug']}/comments", {"comment": {"body": "C"}}),
        await ann.put("/api/user", {"user": {"bio": "B"}}),
    ):
        assert outcome(answer) == INVALID

    assert await db.fetch("select title from articles") == [(article["title"],)]
    counts = "select (select count(*) from favorites), (select count(*) from comments), (select bio from users)"
    assert await db.fetchrow(counts) == (0, 0, None)
