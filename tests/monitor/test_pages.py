"""What the page, the metrics and the state for programs say."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from starlette.applications import Starlette

from app.db import Database
from app.http.refusals import REFUSALS
from app.repositories import health
from tests.monitor.conftest import Connect

STATEMENT = "health.list_applied_migrations"


@pytest.fixture
def database(app: Starlette) -> Database:
    return app.state.database


async def test_statements_are_shown_with_their_figures_and_their_page(operator: httpx2.AsyncClient) -> None:
    for _ in range(3):
        await operator.get("/health/ready")

    page = (await operator.get("/monitor")).text
    state = (await operator.get("/monitor/state")).json()
    own = (await operator.get(f"/monitor/statements/{STATEMENT}")).text

    assert f'href="monitor/statements/{STATEMENT}"' in page
    [row] = [each for each in state["statements"] if each["name"] == STATEMENT]
    assert row["calls"] == 3
    assert row["p50"] > 0
    [route] = [each for each in state["routes"] if each["path"] == "/health/ready"]
    assert route["statements"] == {STATEMENT: 3, "health.delete_nothing": 3}
    assert "sql/health.sql:1" in own
    assert "GET /health/ready" in own
    assert "select migration_id from _yoyo_migration" in own


async def test_a_plan_comes_on_a_click_also_for_a_write_and_nothing_runs(operator: httpx2.AsyncClient) -> None:
    answer = await operator.post("/monitor/statements/health.delete_nothing")

    assert "Delete on commit_tokens" in answer.text
    assert (await operator.get("/monitor/statements/health.delete_everything")).status_code == 404


async def test_a_failure_is_shown_with_its_message(operator: httpx2.AsyncClient, database: Database) -> None:
    await database.execute("drop table commit_tokens")
    await operator.get("/health/ready")

    page = (await operator.get("/monitor")).text

    assert "42P01" in page
    assert "relation &#34;commit_tokens&#34; does not exist" in page


async def test_statements_are_sorted_by_the_column_that_was_chosen(operator: httpx2.AsyncClient) -> None:
    await operator.get("/health/ready")
    names = (await operator.get("/monitor?sort=name")).text
    unknown = await operator.get("/monitor?sort=%22%3E%3Cscript%3E")

    assert names.index("health.delete_nothing") < names.index(STATEMENT)
    assert 'aria-sort="ascending"' in names
    assert "<script>" not in unknown.text.replace('<script src="monitor/files/monitor.js" defer></script>', "")


async def test_an_exhausted_pool_is_named_with_its_holder_and_the_page_answers(
    operator: httpx2.AsyncClient, database: Database
) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(12):
            tasks.create_task(database.fetchval("select pg_sleep(1)"))
        await asyncio.sleep(0.2)
        page = (await operator.get("/monitor")).text

    assert "pool-exhausted" in page
    assert "All 5 connections are in use and 7 tasks wait" in page
    assert "held by" in page


async def test_a_blocked_session_stands_below_the_one_that_blocks_it(
    operator: httpx2.AsyncClient, database: Database
) -> None:
    async with database.transaction() as tx:
        await tx.execute("lock table commit_tokens in access exclusive mode")
        pid = await tx.fetchval("select pg_backend_pid()")
        waiting = asyncio.create_task(health.delete_nothing(database))
        await asyncio.sleep(0.3)
        state = (await operator.get("/monitor/state")).json()
    await waiting

    blocker, blocked = state["sessions"][:2]
    assert (blocker["session"]["pid"], blocker["blocks"], blocker["depth"]) == (pid, 1, 0)
    assert "test_pages.py:" in blocker["holder"]["place"]
    assert (blocked["statement"], blocked["session"]["blocked_by"], blocked["depth"]) == (
        "health.delete_nothing", [pid], 1,
    )  # fmt: skip


async def test_metrics_are_prometheus_text_or_openmetrics(connect: Connect) -> None:
    plain = await connect().get("/metrics")
    open_metrics = await connect(accept="application/openmetrics-text; version=1.0.0").get("/metrics")

    assert plain.headers["content-type"].startswith("text/plain")
    assert "application/openmetrics-text" in open_metrics.headers["content-type"]
    assert open_metrics.text.endswith("# EOF\n")


async def test_metrics_have_each_statement_route_failure_and_the_server(
    operator: httpx2.AsyncClient, database: Database
) -> None:
    await operator.get("/health/ready")
    await operator.get("/nothing/here")
    with pytest.raises(Exception, match="nonsense"):
        await database.execute("nonsense")
    text = (await operator.get("/metrics")).text

    labels = f'db_query_summary="{STATEMENT}",db_system_name="postgresql",worker="0"'
    assert f"db_client_operation_duration_seconds_count{{{labels}}} 1.0" in text
    assert 'db_client_operation_errors_total{db_query_summary="raw SQL",db_response_status_code="42601"' in text
    route = 'http_request_method="GET",http_response_status_code="200",http_route="/health/ready",worker="0"'
    assert f"http_server_request_duration_seconds_count{{{route}}} 1.0" in text
    assert 'http_response_status_code="404",http_route="",worker="0"' in text
    assert "postgresql_up 1.0" in text
    assert 'db_client_connection_count{db_client_connection_state="idle",worker="0"}' in text


async def test_a_server_that_is_gone_is_a_problem_and_a_metric(
    operator: httpx2.AsyncClient, app: Starlette, database_url: str
) -> None:
    assert (await operator.get("/monitor")).status_code == 200
    monitor = app.state.telemetry.monitor
    await monitor.server.close()
    monitor.server._database.dsn = "postgresql://nobody@127.0.0.1:1/nothing"  # pyright: ignore[reportPrivateUsage] - the server is shared
    monitor.server._asked_at = float("-inf")  # pyright: ignore[reportPrivateUsage] - two seconds later

    text = (await operator.get("/metrics")).text
    monitor._viewed_at = float("-inf")
    page = (await operator.get("/monitor")).text

    assert "postgresql_up 0.0" in text
    assert "The database has not answered since" in page


async def test_refusals_are_counted_by_reason(operator: httpx2.AsyncClient) -> None:
    before = REFUSALS.counts["database"]
    REFUSALS.add("database", "a test")
    text = (await operator.get("/metrics")).text

    assert f'bindery_refusals_total{{reason="database",worker="0"}} {before + 1}.0' in text
