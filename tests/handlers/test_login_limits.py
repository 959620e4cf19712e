"""Guessing passwords is limited, and locks no owner out."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from ipaddress import ip_network

import httpx2
import pytest
from starlette.applications import Starlette

from app import security
from app.db import Database
from app.handlers.logins import LoginLimits
from app.repositories import logins
from app.security import PasswordsBusy
from app.settings import Settings
from tests.conftest import settings_for
from tests.documented import outcome
from tests.handlers.people import Person
from tests.handlers.test_tokens import service_on

WRONG = (401, {"credentials": ["invalid"]})
REFUSED = (429, {"credentials": ["were tried too often; try again later"]})
HOME, CAFE, LIBRARY = "192.0.2.1", "192.0.2.2", "192.0.2.3"
OF_PAIR, OF_ACCOUNT, OF_ADDRESS, WINDOW = 3, 5, 7, 900


@pytest.fixture
def settings(database_url: str) -> Settings:
    limits = {
        "login_failures": OF_PAIR, "login_failures_of_account": OF_ACCOUNT, "login_failures_of_address": OF_ADDRESS,
        "trusted_proxies": (ip_network("127.0.0.1"),), "login_window": WINDOW,
    }  # fmt: skip
    return settings_for(database_url).model_copy(update=limits)


async def tries(client: httpx2.AsyncClient, email: str, address: str, password: str = "wrong horse") -> httpx2.Response:
    credentials = {"user": {"email": email, "password": password}}
    return await client.post("/api/users/login", json=credentials, headers={"X-Forwarded-For": address})


async def fails(client: httpx2.AsyncClient, email: str, address: str, times: int) -> None:
    for _ in range(times):
        assert outcome(await tries(client, email, address)) == WRONG


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by the cost parameters of each password that is verified."""
    verified: list[str] = []
    matches = security._matches  # pyright: ignore[reportPrivateUsage] - what it is called with is the work done

    def recorded(password_hash: str, password: str) -> bool:
        verified.append(password_hash.rsplit("$", 2)[0])
        return matches(password_hash, password)

    monkeypatch.setattr(security, "_matches", recorded)
    return verified


async def test_an_unknown_address_of_mail_is_answered_alike_for_the_same_work(
    client: httpx2.AsyncClient, ann: Person, hashed: list[str]
) -> None:
    for email in (ann.email, "nobody@example.com"):
        await fails(client, email, CAFE, OF_PAIR)
        assert outcome(await tries(client, email, CAFE)) == REFUSED

    assert len(hashed) == 2 * OF_PAIR
    assert len(set(hashed)) == 1


async def test_after_too_many_failures_that_account_is_refused_to_that_address_only(
    client: httpx2.AsyncClient, ann: Person, bob: Person
) -> None:
    await fails(client, ann.email, CAFE, OF_PAIR)

    refused = await tries(client, ann.email, CAFE, ann.password)

    assert outcome(refused) == REFUSED
    assert WINDOW - 60 <= int(refused.headers["Retry-After"]) <= WINDOW
    assert (await tries(client, ann.email.upper(), CAFE, ann.password)).status_code == 429
    assert (await tries(client, ann.email, HOME, ann.password)).status_code == 200
    assert (await tries(client, bob.email, CAFE, bob.password)).status_code == 200


@pytest.mark.parametrize("proxies", ["none", "others", "its own"])
async def test_a_proxy_that_is_not_among_the_trusted_ones_is_told_once_in_the_log(
    client: httpx2.AsyncClient, app: Starlette, caplog: pytest.LogCaptureFixture, proxies: str
) -> None:
    limits: LoginLimits = app.state.login_limits
    known = {"none": (), "others": (ip_network("10.0.0.0/8"),), "its own": limits.proxies}[proxies]
    app.state.login_limits = replace(limits, proxies=known)
    for email in ("a@example.com", "b@example.com"):
        for _ in range(OF_PAIR + 1):
            await tries(client, email, CAFE)

    told = [line for line in caplog.messages if "name it in TRUSTED_PROXIES" in line]
    assert len(told) == (proxies != "its own")


async def test_a_success_forgets_the_failures_before_it(client: httpx2.AsyncClient, ann: Person) -> None:
    for _ in range(OF_PAIR):
        await fails(client, ann.email, HOME, OF_PAIR - 1)
        assert (await tries(client, ann.email, HOME, ann.password)).status_code == 200


async def test_an_address_that_guesses_at_many_accounts_is_refused_for_all(
    client: httpx2.AsyncClient, ann: Person
) -> None:
    for number in range(OF_ADDRESS):
        await fails(client, f"guess{number}@example.com", CAFE, 1)

    assert outcome(await tries(client, ann.email, CAFE, ann.password)) == REFUSED
    assert (await tries(client, ann.email, HOME, ann.password)).status_code == 200


async def test_an_account_that_everyone_guesses_at_is_open_to_where_its_owner_was_before(
    client: httpx2.AsyncClient, ann: Person, bob: Person
) -> None:
    assert (await tries(client, ann.email, HOME, ann.password)).status_code == 200
    for number in range(OF_ACCOUNT):
        await fails(client, ann.email, f"198.51.100.{number}", 1)

    assert outcome(await tries(client, ann.email, LIBRARY, ann.password)) == REFUSED
    assert (await tries(client, ann.email, HOME, ann.password)).status_code == 200
    assert (await tries(client, bob.email, LIBRARY, bob.password)).status_code == 200


async def test_all_processes_count_together(client: httpx2.AsyncClient, ann: Person, settings: Settings) -> None:
    async with service_on(settings) as elsewhere:
        await fails(client, ann.email, CAFE, OF_PAIR - 1)
        await fails(elsewhere, ann.email, CAFE, 1)

        assert outcome(await tries(client, ann.email, CAFE)) == REFUSED
        assert outcome(await tries(elsewhere, ann.email, CAFE)) == REFUSED


async def test_attempts_at_the_same_moment_are_no_way_round(client: httpx2.AsyncClient, ann: Person) -> None:
    answers = await asyncio.gather(*(tries(client, ann.email, CAFE) for _ in range(12)))

    assert Counter(answer.status_code for answer in answers) == {401: OF_PAIR, 429: 12 - OF_PAIR}


async def test_a_network_of_ipv6_is_one_address(client: httpx2.AsyncClient, ann: Person) -> None:
    for number in range(OF_PAIR):
        await fails(client, ann.email, f"2001:db8:1:1::{number}", 1)

    assert outcome(await tries(client, ann.email, "2001:db8:1:1:ffff::1")) == REFUSED
    await fails(client, ann.email, "2001:db8:1:2::1", 1)


async def test_a_client_cannot_choose_its_address(client: httpx2.AsyncClient, ann: Person, app: Starlette) -> None:
    limits: LoginLimits = app.state.login_limits
    app.state.login_limits = LoginLimits(limits.window, limits.of_pair, limits.of_address, limits.of_account)
    for number in range(OF_PAIR):
        await fails(client, ann.email, f"198.51.100.{number}", 1)

    assert outcome(await tries(client, ann.email, LIBRARY)) == REFUSED


async def test_an_attempt_whose_password_was_not_looked_at_does_not_count(
    client: httpx2.AsyncClient, ann: Person, app: Starlette, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> bool:
        raise PasswordsBusy("64 passwords are waiting")

    with monkeypatch.context() as overload:
        overload.setattr(app.state.passwords, "verify", busy)
        for _ in range(OF_PAIR + 1):
            assert (await tries(client, ann.email, HOME, ann.password)).status_code == 503

    assert (await tries(client, ann.email, HOME, ann.password)).status_code == 200


async def test_failures_are_forgotten_in_time_and_so_are_addresses(
    client: httpx2.AsyncClient, ann: Person, db: Database
) -> None:
    assert (await tries(client, ann.email, HOME, ann.password)).status_code == 200
    await fails(client, ann.email, CAFE, OF_PAIR)
    await db.execute(f"update login_attempts set since = since - interval '{WINDOW} seconds'")
    await fails(client, ann.email, CAFE, 1)
    await fails(client, ann.email, LIBRARY, 1)
    await db.execute("update login_attempts set since = since - interval '1 day' where address = $1", CAFE)
    await db.execute("update login_addresses set last_at = last_at - interval '91 days'")

    assert await logins.delete_old_attempts(db, window=WINDOW) == 1
    assert await db.fetch("select address from login_attempts") == [(LIBRARY,)]
    assert await db.fetchval("select count(*) from login_addresses") == 0


async def test_a_log_in_from_where_the_account_was_today_leaves_nothing_new(
    client: httpx2.AsyncClient, ann: Person, db: Database
) -> None:
    assert (await tries(client, ann.email, HOME, ann.password)).status_code == 200
    before = await db.fetch("select account, address, last_at, xmin::text from login_addresses")

    assert (await tries(client, ann.email, HOME, ann.password)).status_code == 200

    assert await db.fetch("select account, address, last_at, xmin::text from login_addresses") == before
    assert await db.fetchval("select count(*) from login_attempts") == 0
