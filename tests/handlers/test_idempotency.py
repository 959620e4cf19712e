"""A POST with an Idempotency-Key is done once, however often its client repeats it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette

from app.db import Database
from app.http.idempotency.once import LONGEST_ANSWER
from app.repositories import idempotency
from tests.databases import set_read_only
from tests.documented import fields_at_fault, outcome
from tests.handlers.people import Person

KEY = '"8e03978e-40d5-43e8-bc93-6894a57f9324"'
NEW = {"article": {"title": "Dragons", "description": "About", "body": "Text", "tagList": ["a", "b"]}}
COMMENT = {"comment": {"body": "So true"}}
POSTS: dict[str, tuple[str, Any]] = {
    "publish": ("/api/articles", NEW),
    "comment": ("/api/articles/{slug}/comments", COMMENT),
    "favorite": ("/api/articles/{slug}/favorite", None),
    "follow": ("/api/profiles/ann/follow", None),
}
REPLAYED = "idempotent-replayed"


async def send(person: Person, path: str, json: Any = None, key: str = KEY, **headers: str) -> httpx2.Response:
    """The answer to a POST with a key."""
    headers = {**person.headers, "Idempotency-Key": key, **headers}
    return await person.client.post(path, json=json, headers=headers)


async def titles(db: Database) -> list[str]:
    return [row["title"] for row in await db.fetch("select title from articles order by id")]


async def keys(db: Database) -> int:
    return await db.fetchval("select count(*) from idempotency_keys")


@pytest.mark.parametrize("name", POSTS)
async def test_a_repeated_write_is_done_once_and_answered_as_the_first_time(
    article: dict[str, Any], bob: Person, db: Database, name: str
) -> None:
    path, json = POSTS[name]
    path = path.format(slug=article["slug"])
    first = await send(bob, path, json)
    # Otherwise the same answer could be made anew.
    await db.execute("update users set bio = 'Other' where username = 'ann'")
    tables = ("articles", "comments", "favorites", "follows")
    stored = [await db.fetch(f"select * from {table}") for table in tables]

    again = await send(bob, path, json)

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert first.status_code in {200, 201}
    assert again.headers["content-type"] == first.headers["content-type"] == "application/json"
    assert (first.headers.get(REPLAYED), again.headers[REPLAYED]) == (None, "true")
    assert [await db.fetch(f"select * from {table}") for table in tables] == stored


async def test_without_a_key_each_request_is_a_write(ann: Person, db: Database) -> None:
    await ann.post("/api/articles", NEW)
    await ann.post("/api/articles", NEW)

    assert len(await titles(db)) == 2
    assert await keys(db) == 0


@pytest.mark.parametrize("changed", ["body", "path", "query"])
async def test_a_key_of_another_request_is_refused(
    article: dict[str, Any], other_article: dict[str, Any], bob: Person, db: Database, changed: str
) -> None:
    path = f"/api/articles/{article['slug']}/comments"
    assert (await send(bob, path, COMMENT)).status_code == 201
    others = {
        "body": (path, {"comment": {"body": "Other"}}),
        "path": (f"/api/articles/{other_article['slug']}/comments", COMMENT),
        "query": (f"{path}?more=1", COMMENT),
    }

    refused = await send(bob, *others[changed])

    problem = "was used for another request; take a new key for each request"
    assert outcome(refused) == (422, {"Idempotency-Key": [problem]})
    assert await db.fetchval("select count(*) from comments") == 1


async def test_a_key_belongs_to_its_user(ann: Person, bob: Person, db: Database) -> None:
    by_ann, by_bob = await send(ann, "/api/articles", NEW), await send(bob, "/api/articles", NEW)

    assert by_ann.json()["article"]["author"]["username"] == "ann"
    assert by_bob.json()["article"]["author"]["username"] == "bob"
    assert len(await titles(db)) == 2


async def test_a_refused_request_leaves_no_key_and_may_be_mended(ann: Person, db: Database) -> None:
    refused = await send(ann, "/api/articles", {"article": {"title": "", "description": "d", "body": "b"}})
    assert refused.status_code == 422
    missing = await send(ann, "/api/articles/nothing/comments", COMMENT)
    assert missing.status_code == 404
    assert await keys(db) == 0

    mended = await send(ann, "/api/articles", NEW)

    assert (mended.status_code, mended.headers.get(REPLAYED)) == (201, None)


async def test_while_a_request_is_under_way_its_key_is_in_use(ann: Person, db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute("lock table articles")
        first = asyncio.create_task(send(ann, "/api/articles", NEW))
        async with asyncio.timeout(30):
            while not await db.fetchval("select count(*) from pg_locks where locktype = 'advisory'"):
                await asyncio.sleep(0.01)
            second = await send(ann, "/api/articles", NEW)
        assert not first.done()

    assert outcome(second) == (409, {"Idempotency-Key": ["is in use: the first request with it is not answered yet"]})
    assert second.headers["retry-after"] == "1"
    answer = await first
    assert (answer.status_code, (await send(ann, "/api/articles", NEW)).content) == (201, answer.content)
    assert len(await titles(db)) == 1


async def test_of_many_at_once_one_does_the_work(ann: Person, db: Database) -> None:
    answers = await asyncio.gather(*(send(ann, "/api/articles", NEW) for _ in range(20)))

    done = {answer.content for answer in answers if answer.status_code == 201}
    assert len(done) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert [answer.headers.get(REPLAYED) for answer in answers if answer.status_code == 201].count(None) == 1
    assert await titles(db) == ["Dragons"]


@pytest.mark.parametrize(
    "key", ["", '""', "x" * 256, '"a" "b"', "a b", "a,b", 'a"b', '"a', "\u00e9", r'"\n"', '"a";b=1', "a;b", r"a\b"]
)
async def test_a_bad_key_is_refused(ann: Person, db: Database, key: str) -> None:
    headers = {**{n.encode(): v.encode() for n, v in ann.headers.items()}, b"idempotency-key": key.encode()}

    refused = await ann.client.post("/api/articles", json=NEW, headers=headers)

    status, errors = outcome(refused)
    assert (status, list(errors)) == (400, ["Idempotency-Key"])
    assert "printable ASCII characters" in errors["Idempotency-Key"][0]
    assert await titles(db) == []


async def test_two_keys_are_refused(ann: Person, db: Database) -> None:
    headers = [*ann.headers.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]

    assert (await ann.client.post("/api/articles", json=NEW, headers=headers)).status_code == 400
    assert await titles(db) == []


@pytest.mark.parametrize(
    ("one", "other"), [("a-1", '"a-1"'), (r'"say \"hi\""', r'"say \"hi\""'), ("x" * 255, f'"{"x" * 255}"')]
)
async def test_a_good_key_is_the_same_with_and_without_quotes(ann: Person, db: Database, one: str, other: str) -> None:
    first, again = await send(ann, "/api/articles", NEW, one), await send(ann, "/api/articles", NEW, other)

    assert (first.status_code, again.headers[REPLAYED]) == (201, "true")
    assert len(await titles(db)) == 1


async def test_a_missing_token_comes_before_a_bad_key(client: httpx2.AsyncClient) -> None:
    refused = await client.post("/api/articles", json=NEW, headers={"Idempotency-Key": ""})

    assert outcome(refused) == (401, {"token": ["is missing"]})


async def test_an_answer_is_not_for_a_user_who_no_longer_exists(ann: Person, bob: Person, db: Database) -> None:
    assert (await send(bob, "/api/profiles/ann/follow")).status_code == 200
    await db.execute("delete from users where username = 'bob'")

    assert outcome(await send(bob, "/api/profiles/ann/follow")) == (401, {"token": ["is invalid"]})


async def test_registration_takes_no_key(client: httpx2.AsyncClient, db: Database) -> None:
    account = {"user": {"username": "cleo", "email": "cleo@example.com", "password": "cleo's password"}}
    first = await client.post("/api/users", json=account, headers={"Idempotency-Key": KEY})
    again = await client.post("/api/users", json=account, headers={"Idempotency-Key": KEY})

    assert (first.status_code, again.status_code) == (201, 409)
    assert await keys(db) == 0


async def test_the_longest_article_has_an_answer_that_is_kept(ann: Person, db: Database) -> None:
    longest: dict[str, Any] = {
        "title": "t" * 300,
        "description": "\x01" * 1000,
        "body": "\x01" * 100_000,
        "tagList": [],
    }

    first, again = [await send(ann, "/api/articles", {"article": longest}) for _ in range(2)]

    assert (first.status_code, again.content) == (201, first.content)
    assert 500_000 < len(first.content) < LONGEST_ANSWER


async def test_old_answers_are_forgotten_in_batches(ann: Person, db: Database) -> None:
    for number in range(5):
        await send(ann, "/api/articles", NEW, f"key-{number}")
    await db.execute("update idempotency_keys set created_at = now() - interval '1 hour' where key < 'key-4'")

    assert await idempotency.forget_answers(db, lifetime=3601, batch=2) == 0
    assert await idempotency.forget_answers(db, lifetime=3599, batch=2) == 4
    assert await db.fetchval("select key from idempotency_keys") == "key-4"
    assert (await send(ann, "/api/articles", NEW, "key-1")).headers.get(REPLAYED) is None


async def test_an_origin_of_a_browser_changes_nothing(ann: Person, db: Database) -> None:
    first, again = [await send(ann, "/api/articles", NEW, Origin="https://front.example") for _ in range(2)]

    assert again.content == first.content
    assert again.headers["access-control-allow-origin"] == "*"
    assert REPLAYED in again.headers["access-control-expose-headers"].lower()
    assert len(await titles(db)) == 1


async def test_a_server_that_takes_no_writes_leaves_no_key(ann: Person, db: Database, app: Starlette) -> None:
    await set_read_only(db, "on")
    pool: Database = app.state.database
    pool.retire_connections()
    async with asyncio.timeout(30):
        while (await pool.fetchval("show transaction_read_only")) == "off":
            await asyncio.sleep(0.01)

    refused = await send(ann, "/api/articles", NEW)

    assert fields_at_fault(refused) == (503, {"database"})
    assert "retry-after" in refused.headers
    await set_read_only(db, "off")
    async with asyncio.timeout(30):
        while (answer := await send(ann, "/api/articles", NEW)).status_code == 503:
            await asyncio.sleep(0.01)
    assert (answer.status_code, answer.headers.get(REPLAYED)) == (201, None)
    assert await titles(db) == ["Dragons"]


async def test_a_crash_after_the_write_leaves_neither_write_nor_key(ann: Person, db: Database) -> None:
    await db.execute("alter table idempotency_keys add constraint crash check (status <> 201)")

    assert (await send(ann, "/api/articles", NEW)).status_code == 500
    assert (await titles(db), await keys(db)) == ([], 0)

    await db.execute("alter table idempotency_keys drop constraint crash")
    assert (await send(ann, "/api/articles", NEW)).status_code == 201
