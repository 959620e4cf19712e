"""What is measured of a request, and what its client is told."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from app.db import RepeatedStatement
from app.http.operations import Operation
from app.http.requests import database
from app.http.responses import json_response
from app.http.watch import CLIENT_GONE, RequestWork, Watch
from app.main import create_app
from app.repositories import health
from app.settings import Settings


async def repeat(request: Request) -> Response:
    """Run one statement as often as the query says."""
    times = int(request.query_params["times"])
    for _ in range(times):
        await health.delete_nothing(database(request))
    return json_response(times)


async def fail(request: Request) -> Response:
    """Fail."""
    raise RuntimeError("on purpose")


async def hang(request: Request) -> Response:
    """Wait for the database for long."""
    await database(request).fetchval("select pg_sleep(30)")
    return json_response(None)


OPERATIONS = [Operation("GET", f"/{each.__name__}/{{id}}", each, "Tests") for each in (repeat, fail, hang)]


@pytest.fixture
async def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Starlette]:
    """A service with routes that repeat, fail and hang."""
    monkeypatch.setattr("app.main.operations", lambda: OPERATIONS)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


def counted(app: Starlette) -> dict[tuple[str, str, int], int]:
    watch: Watch = app.state.telemetry.watch
    return {
        (route.method, route.path, status): sum(outcome.buckets)
        for route in watch.routes
        for status, outcome in route.outcomes.items()
    }


async def test_requests_are_counted_by_the_template_of_their_route_and_by_status(
    app: Starlette, client: httpx2.AsyncClient
) -> None:
    await client.get("/repeat/1?times=1")
    await client.get("/repeat/2?times=2")
    await client.get("/fail/1")
    await client.get("/no/such/route")
    await client.get("/docs")
    await client.request("INVENTED", "/docs")

    assert counted(app) == {
        ("GET", "/repeat/{id}", 200): 2, ("GET", "/fail/{id}", 500): 1, ("GET", "", 404): 1, ("GET", "/docs", 200): 1,
        ("_OTHER", "/docs", 405): 1,
    }  # fmt: skip
    assert app.state.telemetry.watch.active == 0


async def test_a_route_knows_its_statements(app: Starlette, client: httpx2.AsyncClient) -> None:
    await client.get("/repeat/1?times=3")

    [route] = [each for each in app.state.telemetry.watch.routes if each.statements]
    assert {figures.name: count for figures, count in route.statements.items()} == {"health.delete_nothing": 3}
    assert route.database_seconds > 0


async def test_a_request_whose_client_went_away_is_counted_as_such(app: Starlette, client: httpx2.AsyncClient) -> None:
    task = asyncio.create_task(client.get("/hang/1"))
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert counted(app) == {("GET", "/hang/{id}", CLIENT_GONE): 1}


@pytest.mark.parametrize("path", ["/repeat/1?times=2", "/fail/1", "/docs"])
async def test_a_request_leaves_nothing_for_the_garbage_collector(client: httpx2.AsyncClient, path: str) -> None:
    await client.get(path)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            await client.get(path)
        kept = [each for each in gc.get_objects() if isinstance(each, RequestWork)]
    finally:
        gc.enable()

    assert kept == []


async def test_each_answer_has_an_id_which_is_the_clients_if_that_is_a_sensible_one(client: httpx2.AsyncClient) -> None:
    async def told(path: str, **headers: str) -> str:
        return (await client.get(path, headers=headers)).headers["x-request-id"]

    own = [await told("/repeat/1?times=0"), await told("/docs"), await told("/fail/1")]
    assert len(set(own)) == 3
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in own)
    assert await told("/docs", **{"X-Request-Id": "from-the-client.1"}) == "from-the-client.1"
    assert await told("/docs", **{"X-Request-Id": "<script>"}) != "<script>"
    assert await told("/docs", **{"X-Request-Id": "x" * 65}) != "x" * 65


async def test_in_development_an_answer_tells_its_times(client: httpx2.AsyncClient) -> None:
    timing = (await client.get("/repeat/1?times=4")).headers["server-timing"]

    assert re.fullmatch(
        r'app;dur=[\d.]+;desc="Application", pool;dur=[\d.]+;desc="Wait for a connection",'
        r' db;dur=[\d.]+;desc="Database, 4 statements", total;dur=[\d.]+;desc="Total"',
        timing,
    )


class TestProduction:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        changes: dict[str, Any] = {"environment": "production"}
        return settings.model_copy(update=changes)

    async def test_no_times_are_told_and_repetition_is_no_warning(self, client: httpx2.AsyncClient) -> None:
        answer = await client.get("/repeat/1?times=20")

        assert answer.status_code == 200
        assert "server-timing" not in answer.headers
        assert "x-request-id" in answer.headers


async def test_a_statement_that_a_handler_repeats_is_a_warning_and_here_an_error(
    client: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await client.get("/repeat/1?times=10")).status_code == 200

    assert (await client.get("/repeat/1?times=11")).status_code == 500
    assert "Repeat has run health.delete_nothing more than 10 times" in caplog.text
    assert "test_watch.py:" in caplog.text
    with pytest.warns(RepeatedStatement):
        assert (await client.get("/repeat/1?times=11")).status_code == 200
