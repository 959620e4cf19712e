"""What docs/monitoring.md, the rules and the dashboard say is what there is."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from app.http.refusals import REFUSALS
from app.http.watch import RequestWork, RouteFigures
from app.logs import request_logger
from app.monitor import problems
from app.request_log import RequestLog
from tests.processes import ROOT

DOCS = ROOT / "docs"
# What only a standby, a server with standbys, one with transactions or locks, or one on this machine tells.
SOMETIMES = {
    "postgresql_replay_lag_seconds", "postgresql_replica_lag_bytes", "postgresql_oldest_transaction_seconds",
    "postgresql_oldest_idle_transaction_seconds", "postgresql_cpu_seconds_total", "postgresql_memory_bytes",
    "postgresql_locks",
}  # fmt: skip
# No label: those are followed by = and a string.
NAMES = r"\b((?:db|http|bindery|postgresql|process|python|machine)_[a-z_]+)\b(?!\s*=~?\s*\")"
PARTS = ("_bucket", "_sum", "_count")


@pytest.fixture
async def exposed(app: Starlette, operator: httpx2.AsyncClient) -> dict[str, set[str]]:
    """The metrics of a service after some work, each with its labels."""
    await operator.get("/health/ready")
    database = app.state.database
    await asyncio.gather(*(database.fetchval("select pg_sleep(0.01)") for _ in range(12)))
    await asyncio.gather(database.execute("nonsense"), return_exceptions=True)
    # More than there are connections to open: a full pool was waited for.
    assert database.statistics().waits > database.statistics().max_size
    database.retire_connections()
    await asyncio.sleep(0.1)
    REFUSALS.add("database", "a test")
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families((await operator.get("/metrics")).text):
        for sample in family.samples:
            name = sample.name.removesuffix("_created")
            if family.type == "histogram":
                name = next((name.removesuffix(part) for part in PARTS if name.endswith(part)), name)
            found.setdefault(name, set()).update(set(sample.labels) - {"worker", "le"})
    return found


def documented() -> dict[str, set[str]]:
    """The metrics in the table of the document, each with its labels."""
    rows = re.findall(r"^\| `([a-z_]+)` \|([^|]*)\| [^|]+ \|$", (DOCS / "monitoring.md").read_text(), re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows if "_" in name}


def section(title: str) -> str:
    """What the document has between this heading and the next."""
    return (DOCS / "monitoring.md").read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def expressions() -> Iterator[str]:
    """Every expression in the rules and in the dashboard."""
    rules: Any = yaml.safe_load((DOCS / "monitoring/rules.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        yield rule["expr"]
    dashboard: Any = json.loads((DOCS / "monitoring/dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]


def texts() -> Iterator[tuple[str, str]]:
    """Every text with labels in it, of an alert or a legend, after its expression."""
    rules: Any = yaml.safe_load((DOCS / "monitoring/rules.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        yield rule["expr"], rule["annotations"]["summary"]
    dashboard: Any = json.loads((DOCS / "monitoring/dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"], target["legendFormat"]


async def test_every_metric_is_in_the_table_with_its_labels(exposed: dict[str, set[str]]) -> None:
    table = documented()

    assert set(exposed) - SOMETIMES == set(table) - SOMETIMES
    assert {name: table[name] for name in exposed if name in table} == exposed


async def test_rules_and_dashboard_ask_for_metrics_and_labels_that_there_are(exposed: dict[str, set[str]]) -> None:
    known = {**{name: documented()[name] for name in SOMETIMES}, **exposed}
    for expression in expressions():
        names = re.findall(NAMES, expression)
        asked = {next((n.removesuffix(p) for p in PARTS if n.removesuffix(p) in known), n) for n in names}
        labels = {label for name in known for label in known[name]} | {"le", "worker"}
        metrics = asked - labels
        assert metrics, expression
        assert metrics <= set(known), expression
        used = set(re.findall(r"(\w+)\s*=~?\s*\"", expression))
        for by in re.findall(r"by \(([^)]*)\)", expression):
            used |= {each.strip() for each in by.split(",")}
        assert used <= {"le", "worker"} | {label for name in metrics for label in known[name]}, expression


def test_alerts_and_legends_name_labels_that_their_expressions_keep() -> None:
    for expression, text in texts():
        kept = {each.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for each in by.split(",")} - {"le"}
        assert set(re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", text)) <= kept, expression


def test_every_field_of_a_request_line_is_explained() -> None:
    out = io.TextIOWrapper(io.BytesIO())
    work = RequestWork(RouteFigures("GET", "/health/live"), {"type": "http", "headers": []}, "an-id", 0)
    RequestLog(request_logger("json", out), share=1, slow_after=1, proxies=()).write(work, 0.001)
    rows = re.findall(r"^\|((?: `\w+`,?)+) \|", section("Log lines"), re.MULTILINE)

    out.seek(0)
    assert set(re.findall(r"\w+", " ".join(rows))) == set(json.loads(out.read()))


def test_every_problem_and_alert_is_explained() -> None:
    explained = set(re.findall(r"^\| `([a-z-]+)` \|", section("Problems and alerts"), re.MULTILINE))
    source = Path(problems.__file__).read_text()
    shown = set(re.findall(r"Problem\(\s*\"([a-z-]+)\"", source))
    rules: Any = yaml.safe_load((DOCS / "monitoring/rules.yml").read_text())
    alerts = {rule["alert"] for rule in rules["groups"][0]["rules"]}

    assert shown <= alerts
    assert alerts == explained
