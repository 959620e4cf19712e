"""Errors have one form, whatever went wrong and wherever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from app.db import (
    BadArgument,
    BindingError,
    CommitUnknown,
    Database,
    DatabaseUnavailable,
    PoolTimeout,
    StatementTimeout,
    TooManyRows,
    TransactionAborted,
)
from app.security import PasswordsBusy
from app.settings import Settings
from tests.databases import end_other_sessions, set_read_only
from tests.db.pools import until
from tests.documented import fields_at_fault, outcome
from tests.handlers.people import Person
from tests.network import Network
from tests.pgbouncer import is_in_between


class LateNetwork(Network):
    """Holds back no answer but the one that says that a change is stored: behind a PgBouncer each has its COMMIT."""

    async def _gate(self) -> None:
        if self.statements[-1:] == ["commit"] or not is_in_between():
            await super()._gate()


async def test_a_path_that_leads_nowhere_is_not_found(client: httpx2.AsyncClient) -> None:
    known = ["/api/profiles", "/api/profiles/ann/nothing", "/api/articles/some-1/nothing", "/api/articles/a%2Fb-1"]
    for path in ("/api", "/nothing", "/api/nothing", "/users", "/api/%00", "/api/%FF", "//api/tags", *known):
        for method in ("GET", "POST", "DELETE"):
            answer = await client.request(method, f"http://testserver{path}")
            assert outcome(answer) == (404, {"path": ["not found"]}), path


async def test_a_method_that_a_path_does_not_know_is_refused_with_those_it_does(client: httpx2.AsyncClient) -> None:
    for method, path, allowed in (
        ("PATCH", "/api/user", {"GET", "PUT"}),
        ("DELETE", "/api/user", {"GET", "PUT"}),
        ("POST", "/api/tags", {"GET"}),
        ("GET", "/api/users/login", {"POST"}),
        ("PUT", "/api/users", {"GET", "POST"}),
        ("PUT", "/api/articles/feed", {"GET"}),
        ("DELETE", "/api/articles/export", {"GET"}),
        ("POST", "/api/articles/any-1", {"GET", "PUT", "DELETE"}),
        ("PUT", "/api/articles/any-1/comments", {"GET", "POST"}),
        ("GET", "/api/articles/any-1/comments/1", {"DELETE"}),
        ("GET", "/api/profiles/ann/follow", {"POST", "DELETE"}),
        ("GET", "/api/articles/any-1/favorite", {"POST", "DELETE"}),
    ):
        answer = await client.request(method, path)
        assert outcome(answer) == (405, {"method": ["not allowed"]}), path
        assert {each.strip() for each in answer.headers["allow"].split(",")} - {"HEAD", "OPTIONS"} == allowed


async def test_a_head_request_is_a_get_without_the_body(client: httpx2.AsyncClient) -> None:
    answer = await client.head("/api/tags")

    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_crash_is_an_error_in_the_same_form_that_tells_nothing(
    client: httpx2.AsyncClient, db: Database
) -> None:
    await db.execute("alter table tags rename to hidden_tags")

    answer = await client.get("/api/tags", headers={"Origin": "https://front.example"})

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] in {"*", "https://front.example"}
    assert list(answer.json()) == ["errors"]
    for secret in ("relation", "select", "Traceback", "asyncpg"):
        assert secret not in answer.text


MESSAGE = "PostgreSQL at db:5432: relation users: asyncpg: SELECT"
RAISED: list[tuple[Exception, int]] = [
    (DatabaseUnavailable(MESSAGE), 503),
    (PoolTimeout(MESSAGE), 503),
    (PasswordsBusy(MESSAGE), 503),
    (CommitUnknown(MESSAGE), 503),
    (StatementTimeout(MESSAGE), 504),
    (BadArgument("create_user", "username", MESSAGE), 422),
    (BindingError(MESSAGE), 500),
    (TooManyRows(MESSAGE), 500),
    (TransactionAborted(MESSAGE), 500),
    (RuntimeError(MESSAGE), 500),
]


@pytest.mark.parametrize(("error", "status"), RAISED, ids=[type(error).__name__ for error, _ in RAISED])
async def test_no_answer_tells_what_the_database_is(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("app.handlers.users.users.find_account", fail)
    answer = await client.post("/api/users/login", json={"user": {"email": "a@b", "password": "correct horse"}})

    assert answer.status_code == status
    for word in ("postgres", "asyncpg", "sql", "relation", "select", "5432"):
        assert word not in answer.text.lower()


class TestBusyPool:
    """With a single connection, which somebody else holds."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        one = {"db_pool_size": 1, "db_max_overflow": 0, "db_pool_timeout": 1.0, "db_pool_pre_ping": False}
        return settings.model_copy(update=one)

    async def test_a_request_that_gets_no_connection_may_try_again_later(
        self, app: Starlette, client: httpx2.AsyncClient, ann: Person
    ) -> None:
        async with app.state.database.acquire():
            refused = [
                await client.get("/api/tags"),
                await ann.get("/api/user"),
                await ann.post("/api/articles", {"article": {"title": "T", "description": "D", "body": "B"}}),
            ]
        served = [await client.get("/api/tags"), await ann.get("/api/user")]

        for answer in refused:
            assert fields_at_fault(answer) == (503, {"database"})
            assert int(answer.headers["retry-after"]) > 0
        assert [answer.status_code for answer in served] == [200, 200]

    async def test_whoever_stored_an_article_is_answered_while_others_wait_for_the_connection(
        self, app: Starlette, ann: Person, article: dict[str, Any], db: Database
    ) -> None:
        path = f"/api/articles/{article['slug']}/comments"
        async with db.transaction() as holder, asyncio.timeout(30):
            await holder.execute("lock table comments in access exclusive mode")
            async with db.transaction() as gate:
                await gate.execute("lock table articles in share mode")
                stored = asyncio.create_task(ann.writes("Stored"))
                await until(lambda: app.state.database.statistics().in_use == 1)
                reading = asyncio.create_task(ann.get(path))
                await until(lambda: app.state.database.statistics().waiting == 1)
            assert (await stored)["title"] == "Stored"
        await reading


@pytest.fixture
async def network(database_url: str) -> AsyncIterator[Network]:
    async with LateNetwork(database_url) as network:
        yield network


class TestLostDatabase:
    """With a network between the service and PostgreSQL that can be cut."""

    @pytest.fixture
    def settings(self, settings: Settings, network: Network) -> Settings:
        return settings.model_copy(update={"database_url": SecretStr(network.dsn)})

    async def test_requests_may_try_again_later_until_the_database_is_back(
        self, client: httpx2.AsyncClient, ann: Person, network: Network
    ) -> None:
        await network.cut()

        # More requests than there are connections: neither a dead nor a missing connection may be a crash.
        for _ in range(8):
            for answer in (await client.get("/api/tags"), await ann.post("/api/profiles/ann/follow")):
                assert fields_at_fault(answer) == (503, {"database"})
                assert int(answer.headers["retry-after"]) > 0
                assert "127.0.0.1" not in answer.text

        await network.mend()
        for _ in range(8):
            assert (await client.get("/api/tags")).status_code == 200
            assert (await ann.get("/api/user")).status_code == 200

    async def test_the_service_lives_but_is_not_ready(self, client: httpx2.AsyncClient, network: Network) -> None:
        await network.cut()

        live, ready = await client.get("/health/live"), await client.get("/health/ready")
        assert (live.status_code, live.json()) == (200, {"status": "ok", "environment": "development"})
        assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
        assert ready.json()["reason"] == "the database does not answer"

        await network.mend()
        assert (await client.get("/health/ready")).status_code == 200

    async def test_connections_that_the_server_ended_are_replaced(
        self, client: httpx2.AsyncClient, db: Database, article: dict[str, Any]
    ) -> None:
        # More often than the pool has places, and with the news at different distances: no place may be lost for good.
        for distance in range(12):
            assert await end_other_sessions(db)
            for _ in range(distance):
                await asyncio.sleep(0)

            first, second = await client.get("/api/tags"), await client.get("/api/tags")
            assert first.status_code in {200, 503}
            assert second.json() == {"tags": ["dragons", "training"]}


class TestLostUnderWay:
    """With a network that can be cut, and no test of a connection before it is lent."""

    @pytest.fixture
    def settings(self, settings: Settings, network: Network) -> Settings:
        return settings.model_copy(update={"database_url": SecretStr(network.dsn), "db_pool_pre_ping": False})

    async def test_a_change_that_broke_under_way_is_not_to_be_repeated_blindly(
        self, ann: Person, bob: Person, network: Network
    ) -> None:
        network.hold()
        change = asyncio.create_task(ann.post("/api/profiles/bob/follow"))
        await until(lambda: network.waiting)
        network.drop()
        answer = await change

        assert fields_at_fault(answer) == (503, {"database"})
        assert "look before you repeat it" in answer.text
        assert "retry-after" not in answer.headers


@pytest.mark.parametrize("code", ["53000", "53100", "53200", "53300", "53400"])
async def test_what_the_server_lacks_the_room_for_may_be_tried_again_later(
    ann: Person, db: Database, code: str
) -> None:
    await db.execute(
        "create function refuse() returns trigger language plpgsql as"
        f" $$begin raise exception 'PostgreSQL is full' using errcode = '{code}'; end$$;"
        "create constraint trigger refuse after insert on articles initially deferred"
        " for each row execute function refuse();"
        "create trigger refuse before insert on comments for each row execute function refuse()"
    )

    # At COMMIT, and at the statement.
    refused = await ann.post("/api/articles", {"article": {"title": "T", "description": "D", "body": "B"}})

    assert fields_at_fault(refused) == (503, {"database"})
    assert int(refused.headers["retry-after"]) > 0
    assert "postgres" not in refused.text.lower()
    assert await db.fetchval("select count(*) from articles") == 0

    await db.execute("drop trigger refuse on articles")
    path = f"/api/articles/{(await ann.writes('Dragons'))['slug']}/comments"
    assert fields_at_fault(await ann.post(path, {"comment": {"body": "B"}})) == (503, {"database"})
    assert (await ann.get(path)).json() == {"comments": []}


class TestReadOnlyServer:
    """With a server that takes no writes, as after it lost its role."""

    @pytest.fixture
    async def settings(self, settings: Settings, db: Database) -> Settings:
        await set_read_only(db, "on")
        return settings.model_copy(update={"db_pool_size": 1, "db_max_overflow": 0})

    async def test_reads_are_served_and_writes_may_be_tried_again_until_it_takes_them(
        self, client: httpx2.AsyncClient, db: Database
    ) -> None:
        body = {"user": {"username": "ann", "email": "ann@example.com", "password": "correct horse"}}
        refused = await client.post("/api/users", json=body)

        assert fields_at_fault(refused) == (503, {"database"})
        assert int(refused.headers["retry-after"]) > 0
        assert (await client.get("/api/tags")).status_code == 200

        await set_read_only(db, "off")
        async with asyncio.timeout(30):
            while (answer := await client.post("/api/users", json=body)).status_code == 503:
                await asyncio.sleep(0.01)
        assert answer.status_code == 201

    async def test_the_service_is_not_ready_until_it_takes_writes(
        self, client: httpx2.AsyncClient, db: Database
    ) -> None:
        ready = await client.get("/health/ready")

        assert (ready.status_code, ready.json()["reason"]) == (503, "the database takes no writes")
        assert (await client.get("/health/live")).status_code == 200

        await set_read_only(db, "off")
        async with asyncio.timeout(30):
            while (await client.get("/health/ready")).status_code == 503:
                await asyncio.sleep(0.01)
