"""Several workers: whichever is asked tells of all."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2

from tests.test_workers import workers


def requests(metrics: str) -> dict[str, float]:
    """The requests that were ready, by worker."""
    found = re.findall(
        r'^http_server_request_duration_seconds_count\{.*http_route="/health/ready",worker="(\d)"\} (\S+)$',
        metrics, re.MULTILINE,
    )  # fmt: skip
    return {worker: float(count) for worker, count in found}


def test_the_metrics_and_the_page_have_every_worker(database_url: str) -> None:
    with workers(database_url) as (_, address):
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(httpx2.get, [f"{address}/health/ready"] * 200))
        # A worker publishes its figures once a second.
        time.sleep(2.5)
        seen = [requests(httpx2.get(f"{address}/metrics").text) for _ in range(8)]
        state = httpx2.get(f"{address}/monitor/state").json()

    assert {answer.status_code for answer in answers} == {200}
    assert [sum(each.values()) for each in seen] == [200.0] * 8
    assert all(set(each) == {"0", "1"} for each in seen)
    assert state["many"]
    [row] = [each for each in state["statements"] if each["name"] == "health.delete_nothing"]
    assert row["calls"] == 200
