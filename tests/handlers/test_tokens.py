"""The Authorization header, and what makes a token good."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import jwt
import pytest
from pydantic import SecretStr

from app.db import Database
from app.main import create_app
from app.settings import Settings
from tests.documented import outcome
from tests.handlers.people import Person

INVALID = (401, {"token": ["is invalid"]})
HOUR = 3600


async def current_user(client: httpx2.AsyncClient, authorization: str | bytes) -> httpx2.Response:
    raw = authorization.encode() if isinstance(authorization, str) else authorization
    return await client.get("/api/user", headers=[(b"Authorization", raw)])


async def test_a_token_may_come_by_either_scheme(client: httpx2.AsyncClient, ann: Person) -> None:
    for scheme in ("Token", "Bearer", "token", "TOKEN", "bearer", "bEARER"):
        answer = await current_user(client, f"{scheme} {ann.token}")
        assert answer.status_code == 200, scheme
        assert answer.json()["user"]["username"] == "ann"


async def test_a_header_of_any_other_form_is_an_invalid_token(client: httpx2.AsyncClient, ann: Person) -> None:
    good = ann.token
    odd = ["", "Token", "Token ", "Bearer", good, f"Token{good}", f"Token: {good}", f"Token {good} {good}"]
    for header in (*odd, f"Basic {good}", f"Digest {good}", f"Tokens {good}"):
        assert outcome(await current_user(client, header)) == INVALID, header
        assert outcome(await client.get("/api/articles", headers={"Authorization": header})) == INVALID, header


async def test_garbage_is_an_invalid_token(client: httpx2.AsyncClient) -> None:
    for garbage in (b"\xff\xfe", "é".encode(), b"\x01", b".", b"..", b"...", b"a.b.c", b"%00", b"null", b"x" * 20_000):
        assert outcome(await current_user(client, b"Token " + garbage)) == INVALID, garbage


@pytest.fixture
async def claims(ann: Person, db: Database) -> dict[str, Any]:
    """What a token of ann's says."""
    user_id = await db.fetchval("select id from users where username = 'ann'")
    now = int(time.time())
    return {"sub": str(user_id), "iat": now, "exp": now + HOUR}


@pytest.fixture
def key(settings: Settings) -> str:
    """The key that the service signs with."""
    assert settings.secret_key
    return settings.secret_key.get_secret_value()


def signed(claims: dict[str, Any], key: str | None, algorithm: str = "HS256") -> str:
    encoded = jwt.encode(claims, key, algorithm)  # pyright: ignore[reportUnknownMemberType] - of `cryptography`, unused
    return f"Token {encoded}"


async def test_a_token_signed_with_the_key_is_good(
    client: httpx2.AsyncClient, claims: dict[str, Any], key: str
) -> None:
    answer = await current_user(client, signed(claims, key))

    assert answer.status_code == 200
    assert answer.json()["user"]["username"] == "ann"


async def test_an_expired_token_is_invalid(client: httpx2.AsyncClient, claims: dict[str, Any], key: str) -> None:
    claims["exp"] = claims["iat"] - 1

    assert outcome(await current_user(client, signed(claims, key))) == INVALID


async def test_a_token_signed_with_another_key_is_invalid(client: httpx2.AsyncClient, claims: dict[str, Any]) -> None:
    assert outcome(await current_user(client, signed(claims, "the key of another service, just as long"))) == INVALID


async def test_the_algorithm_is_not_the_tokens_to_choose(
    client: httpx2.AsyncClient, claims: dict[str, Any], key: str
) -> None:
    long_key = key * 2

    assert outcome(await current_user(client, signed(claims, None, "none"))) == INVALID
    assert outcome(await current_user(client, signed(claims, long_key, "HS384"))) == INVALID
    assert outcome(await current_user(client, signed(claims, long_key, "HS512"))) == INVALID


async def test_a_token_that_lacks_a_claim_is_invalid(
    client: httpx2.AsyncClient, claims: dict[str, Any], key: str
) -> None:
    for claim in ("sub", "exp"):
        lacking = {name: value for name, value in claims.items() if name != claim}
        assert outcome(await current_user(client, signed(lacking, key))) == INVALID, claim


async def test_a_token_whose_subject_is_no_user_is_invalid(
    client: httpx2.AsyncClient, claims: dict[str, Any], key: str
) -> None:
    for subject in ("0", "-1", "", "ann", "1.0", "9223372036854775807", "9223372036854775808", "\u0661", "1\x00"):
        assert outcome(await current_user(client, signed({**claims, "sub": subject}, key))) == INVALID, subject


async def test_a_token_with_a_changed_subject_is_invalid(client: httpx2.AsyncClient, ann: Person, bob: Person) -> None:
    head, _, signature = ann.token.split(".")
    payload = bob.token.split(".")[1]

    assert outcome(await current_user(client, f"Token {head}.{payload}.{signature}")) == INVALID


async def test_a_token_issued_here_expires(ann: Person, settings: Settings, key: str) -> None:
    claims: dict[str, Any] = jwt.decode(ann.token, key, ["HS256"])  # pyright: ignore[reportUnknownMemberType] - as above

    assert claims["exp"] - claims["iat"] == settings.token_ttl


async def test_a_change_of_the_key_logs_nobody_out(ann: Person, settings: Settings, key: str) -> None:
    rotated = settings.model_copy(
        update={
            "secret_key": SecretStr("the new key of the tests, just as long"),
            "secret_key_previous": SecretStr(key),
        }
    )
    async with service_on(rotated) as client:
        answer = await current_user(client, f"Token {ann.token}")
        renewed = answer.json()["user"]["token"]

    assert answer.status_code == 200
    async with service_on(rotated.model_copy(update={"secret_key_previous": None})) as client:
        assert (await current_user(client, f"Token {renewed}")).status_code == 200
        assert outcome(await current_user(client, f"Token {ann.token}")) == INVALID


@asynccontextmanager
async def service_on(settings: Settings) -> AsyncGenerator[httpx2.AsyncClient]:
    """A client of another process of the service, with these settings."""
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://testserver") as client,
    ):
        yield client
