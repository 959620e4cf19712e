"""The Idempotency-Key of a service without the example: what is kept of its answers, and what becomes of its writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.db import Conflict, Database
from app.http.endpoints import Service
from app.http.headers import NO_STORE
from app.http.idempotency.once import LONGEST_ANSWER, Once
from app.http.operations import Operation
from app.http.requests import Viewer, database, read_object
from app.http.responses import json_response
from app.http.watch import Watch
from app.main import create_app
from app.repositories import idempotency
from app.settings import Settings

HEADERS = {"Authorization": "Token 7", "Idempotency-Key": "a"}


async def _write(request: Request) -> str:
    token = str(uuid4())
    # Like a handler: a transaction of its own, which is a savepoint here.
    async with database(request).transaction() as tx:
        await tx.execute("insert into commit_tokens (token) values ($1)", token)
    return token


async def create(request: Request) -> Response:
    """Answer with what was written and sent."""
    sent = await read_object(request)
    assert await request.is_disconnected() is False
    headers = {"Location": "http://elsewhere.example/notes/7", "Link": "<a>; rel=next", "X-Text": "\xe9: b"}
    return json_response({"token": await _write(request), **sent}, 201, headers)


async def nothing(request: Request) -> Response:
    """Answer without a body."""
    await _write(request)
    return Response(status_code=204)


async def refuse(request: Request) -> Response:
    """Write, and return a refusal."""
    await _write(request)
    return json_response({"errors": {"a": ["b"]}}, 409)


async def stream(request: Request) -> Response:
    """Answer with a stream."""
    await _write(request)
    return StreamingResponse(iter([b"a"]))


async def secret(request: Request) -> Response:
    """Answer with what must not be stored."""
    return json_response({"token": await _write(request)}, 200, NO_STORE)


async def cookie(request: Request) -> Response:
    """Answer with a cookie."""
    return json_response({"token": await _write(request)}, 200, {"Set-Cookie": "a=b"})


async def long(request: Request) -> Response:
    """Answer with one byte more than is kept."""
    await _write(request)
    return Response(b"x" * (LONGEST_ANSWER + 1))


HANDLERS = (create, nothing, refuse, stream, secret, cookie, long)
OPERATIONS = [
    *(Operation("POST", f"/{each.__name__}", each, "Notes", viewer="required") for each in HANDLERS),
    Operation("POST", "/anonymous", nothing, "Notes"),
    Operation("PUT", "/create", create, "Notes", viewer="required"),
]


def viewer_of(token: str) -> Viewer:
    """The tokens here are the ids of users."""
    return Viewer(int(token), generation=0)


@pytest.fixture
async def web(db: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service with these operations, whose tokens are the ids of users."""
    cors = Middleware(CORSMiddleware, allow_origins=["*"])
    once = Once(idempotency.try_lock, idempotency.find_answer, idempotency.create_answer)
    app = Service(OPERATIONS, {}, cors, [], lifespan=None, watch=Watch(), once=once)
    app.state.database, app.state.verify_token, app.state.viewer_exists = db, viewer_of, None
    app.state.max_body_bytes = 100
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        yield client


async def post(web: httpx2.AsyncClient, path: str, json: Any = None) -> httpx2.Response:
    return await web.post(path, json=json, headers=HEADERS)


async def writes(db: Database) -> int:
    return await db.fetchval("select count(*) from commit_tokens")


async def keys(db: Database) -> int:
    return await db.fetchval("select count(*) from idempotency_keys")


async def test_status_body_and_headers_are_those_of_the_first_answer(web: httpx2.AsyncClient, db: Database) -> None:
    first, again = [await post(web, "/create", {"a": 1}) for _ in range(2)]

    assert (again.status_code, again.content) == (first.status_code, first.content) == (201, first.content)
    assert first.json()["a"] == 1
    for name in ("location", "link", "x-text", "content-type", "content-length", "vary"):
        assert again.headers.get_list(name) == first.headers.get_list(name) != [], name
    assert again.headers["location"] == "/notes/7"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await writes(db) == 1


async def test_an_answer_without_a_body_is_repeated(web: httpx2.AsyncClient, db: Database) -> None:
    first, again = [await post(web, "/nothing") for _ in range(2)]

    assert (first.status_code, again.status_code, again.content) == (204, 204, b"")
    assert again.headers["idempotent-replayed"] == "true"
    assert await writes(db) == 1


async def test_a_refusal_that_a_handler_returns_undoes_its_writes_and_is_not_kept(
    web: httpx2.AsyncClient, db: Database
) -> None:
    refused = await post(web, "/refuse")

    assert (refused.status_code, refused.json()) == (409, {"errors": {"a": ["b"]}})
    assert (await writes(db), await keys(db)) == (0, 0)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/stream", "the answer is a stream"),
        ("/secret", "the answer must not be stored"),
        ("/cookie", "the answer must not be stored"),
        ("/long", "the answer is longer than 1048576 bytes"),
    ],
)
async def test_an_answer_that_cannot_be_kept_is_refused_and_nothing_is_stored(
    web: httpx2.AsyncClient, db: Database, path: str, reason: str
) -> None:
    refused = await post(web, path)

    problem = f"cannot be used here, and nothing was stored: {reason}"
    assert (refused.status_code, refused.json()) == (422, {"errors": {"Idempotency-Key": [problem]}})
    assert (await writes(db), await keys(db)) == (0, 0)


async def test_a_long_body_is_refused_before_a_connection_is_taken(web: httpx2.AsyncClient, db: Database) -> None:
    taken = db.statistics().acquires

    assert (await post(web, "/nothing", {"a": "b" * 100})).status_code == 413
    assert db.statistics().acquires == taken


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/anonymous", 204), ("PUT", "/create", 201)])
async def test_other_operations_ignore_the_header(
    web: httpx2.AsyncClient, db: Database, method: str, path: str, status: int
) -> None:
    answers = [await web.request(method, path, json={}, headers=HEADERS) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [status, status]
    assert (await writes(db), await keys(db)) == (2, 0)


async def test_a_key_has_one_answer_even_without_the_lock(db: Database) -> None:
    answer: dict[str, Any] = {
        "user_id": 7,
        "key": "a",
        "fingerprint": b"x" * 32,
        "status": 200,
        "headers": "",
        "body": b"",
    }
    await idempotency.create_answer(db, **answer)

    with pytest.raises(Conflict, match="Idempotency-Key"):
        await idempotency.create_answer(db, **answer)


async def test_the_service_forgets_keys_after_their_lifetime(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, hours in (("old", 25), ("young", 23)):
        await db.execute(
            "insert into idempotency_keys (user_id, key, fingerprint, status, headers, body, created_at)"
            " values (7, $1, sha256(''), 200, '', '', now() - make_interval(hours => $2))",
            key,
            hours,
        )
    monkeypatch.setattr("app.main.FORGET_EVERY", 0.01)
    app = create_app(settings)

    async with app.router.lifespan_context(app), asyncio.timeout(30):
        while await keys(db) == 2:
            await asyncio.sleep(0.01)

    assert await db.fetchval("select key from idempotency_keys") == "young"
