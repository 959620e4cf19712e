"""Log lines: one form for all, one line a request, and nothing secret in them."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
import uvicorn

from app.db import Database, Work
from app.http.refusals import Refusals
from app.http.watch import RequestWork, RouteFigures
from app.logs import configure_logs, request_logger
from app.repositories import health
from app.request_log import RequestLog
from app.slow import SlowStatements
from tests.processes import service

SCOPE: dict[str, Any] = {"type": "http", "client": ("192.0.2.7", 1), "headers": []}


class Stream(io.TextIOWrapper):
    """A stream like stderr that a test can read."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def lines(self) -> list[str]:
        buffer: Any = self.buffer
        return buffer.getvalue().decode().splitlines()

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines()]


@pytest.fixture
def stream() -> Iterator[Stream]:
    """What is logged, with the loggers as they were afterwards."""
    root, yoyo = logging.getLogger(), logging.getLogger("yoyo")
    before = root.handlers, root.level, yoyo.level
    stream = Stream()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        yield stream
        logging.captureWarnings(False)
    root.handlers, root.level, yoyo.level = before


def test_lines_of_every_logger_and_warnings_have_one_form(stream: Stream) -> None:
    uvicorn.Config("anything")
    configure_logs("info", "json", stream)
    logging.getLogger("uvicorn.error").error("a connection broke")
    logging.getLogger("yoyo.migrations").warning("a migration")
    warnings.warn("something is old", UserWarning, stacklevel=1)
    logging.getLogger("app.http").error("it failed", exc_info=ValueError("what happened"))

    lines = stream.objects()
    assert [(line["logger"], line["level"]) for line in lines] == [
        ("uvicorn.error", "error"), ("yoyo.migrations", "warning"), ("py.warnings", "warning"), ("app.http", "error"),
    ]  # fmt: skip
    assert lines[0]["event"] == "a connection broke"
    assert "something is old" in lines[2]["event"]
    assert "ValueError: what happened" in lines[3]["exception"]
    assert all(line["time"].endswith("Z") for line in lines)


def test_on_a_terminal_lines_are_for_people(stream: Stream) -> None:
    configure_logs("info", "console", stream)
    logging.getLogger("app.http").warning("answered 503")

    [line] = stream.lines()
    assert "answered 503" in line
    assert not line.startswith("{")


def test_a_line_within_a_request_has_its_id(stream: Stream) -> None:
    configure_logs("info", "json", stream)
    with RequestWork(RouteFigures("GET", "/x"), {}, "the-id", 0):
        logging.getLogger("app.http").warning("within")
    logging.getLogger("app.http").warning("outside")

    assert [line.get("request") for line in stream.objects()] == ["the-id", None]


def requests(stream: Stream, share: float, *cases: tuple[int, float]) -> list[dict[str, Any]]:
    log = RequestLog(request_logger("json", stream), share=share, slow_after=1.0, proxies=())
    for status, seconds in cases:
        work = RequestWork(RouteFigures("GET", "/api/things/{id}"), SCOPE, "the-id", 0)
        work.status = status
        log.write(work, seconds)
    return stream.objects()


def test_a_request_has_one_line_with_its_times(stream: Stream) -> None:
    [line] = requests(stream, 1.0, (200, 0.0123))

    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "request", "level": "info", "request": "the-id", "client": "192.0.2.7", "method": "GET",
        "route": "/api/things/{id}",
        "status": 200, "ms": 12.3, "statements": 0, "db_ms": 0.0, "wait_ms": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("peer", "forwarded", "shown"),
    [
        ("192.0.2.7", None, "192.0.2.7"),
        ("192.0.2.7", "203.0.113.5", "192.0.2.7"),
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "198.51.100.9, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "nonsense", None),
    ],
)
def test_a_line_has_the_clients_address_and_believes_only_trusted_proxies(
    stream: Stream, peer: str, forwarded: str | None, shown: str | None
) -> None:
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
    scope = {"type": "http", "client": (peer, 1), "headers": headers}
    work = RequestWork(RouteFigures("GET", "/x"), scope, "the-id", 0)
    work.status = 404
    log = RequestLog(request_logger("json", stream), share=1.0, slow_after=1.0, proxies=[ip_network("10.0.0.0/8")])
    log.write(work, 0.001)

    assert stream.objects()[0]["client"] == shown


def test_of_fast_successes_a_share_has_a_line_and_everything_else_has_one(stream: Stream) -> None:
    lines = requests(stream, 0.1, *[(200, 0.001)] * 100, (404, 0.001), (500, 0.001), (200, 2.0))

    assert [line["status"] for line in lines].count(200) == 11
    assert [line["status"] for line in lines[10:]] == [404, 500, 200]
    assert lines[-2]["level"] == "error"


def test_a_refused_request_has_no_line_of_its_own(stream: Stream) -> None:
    assert requests(stream, 1.0, *[(503, 0.001)] * 100) == []


def test_refusals_are_counted_and_logged_once_a_second(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("app.http.refusals.monotonic", lambda: now)
    refusals = Refusals()
    for _ in range(1000):
        refusals.add("database", "too many wait")
    now += 0.5
    refusals.log_rest()
    assert [record.getMessage() for record in caplog.records] == ["answered 503: too many wait"]

    now += 0.5
    refusals.log_rest()
    refusals.log_rest()

    assert refusals.counts["database"] == 1000
    assert caplog.records[1].getMessage() == "answered 503 (and 998 more since the last such line): too many wait"
    assert len(caplog.records) == 2


async def test_a_slow_statement_is_logged_with_its_wait_and_now_and_then_with_its_plan(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    slow = SlowStatements(db)
    db.figures.watch_slow(0.0, slow.tell)
    with Work():
        for _ in range(3):
            await health.delete_nothing(db)
    while len(caplog.records) < 2:
        await db.fetchval("select 1")
    await slow.close()

    first, plan = (record.getMessage() for record in caplog.records)
    assert first.startswith("slow statement health.delete_nothing: ")
    assert "Delete on commit_tokens" in plan


async def test_a_plan_that_cannot_be_had_is_said_so(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    slow = SlowStatements(db)
    db.figures.watch_slow(0.0, slow.tell)
    await health.delete_nothing(db)
    await db.execute("drop table commit_tokens")
    while len(caplog.records) < 2:
        await db.fetchval("select 1")
    await slow.close()

    assert "the plan of health.delete_nothing is not known" in caplog.text


def test_no_value_of_a_request_and_no_secret_is_in_the_log(database_url: str, tmp_path: Any) -> None:
    key = "a key of the tests, long enough for HMAC-SHA-256"
    token = "the operator's token, which is long enough"
    with service(
        "serve",
        folder=tmp_path,
        DATABASE_URL=database_url,
        SECRET_KEY=key,
        MONITOR_TOKEN=token,
        LOG_LEVEL="info",
        LOG_SHARE="1",
    ) as (
        process,
        client,
    ):
        client.get("/health/ready?password=swordfish", headers={"Authorization": f"Bearer {token}"})
        client.post("/monitor/open", content="token=swordfish")
        process.terminate()
        _, log = process.communicate(timeout=30)

    assert "/health/ready" in log or "/monitor/open" in log
    assert "swordfish" not in log
    assert token not in log
    assert key not in log
