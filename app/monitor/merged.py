"""All workers together: statements and routes as rows, with their percentiles."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.db import DURATION_BUCKETS
from app.http.watch import REQUEST_BUCKETS
from app.monitor.percentiles import percentile
from app.monitor.snapshot import RouteSnapshot, Snapshot, StatementSnapshot, added


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A statement since the start. `share` is its part of all database time, from 0 to 1; times are in seconds."""

    name: str
    calls: int
    seconds: float
    share: float
    mean: float
    p50: float
    p95: float
    p99: float
    rows: int
    errors: int
    errors_by_kind: dict[str, int]
    last_error: tuple[float, str, str] | None


@dataclass(frozen=True, slots=True)
class RouteRow:
    """A route since the start. `failures` are answers from 500 on; `statements` how often it ran each, by name."""

    method: str
    path: str
    handler: str
    requests: int
    failures: int
    p50: float
    p95: float
    p99: float
    database_share: float
    statements: dict[str, int]


def statement_rows(snapshots: Iterable[Snapshot]) -> list[StatementRow]:
    """Return a row for each statement that ran, the one with the most time first."""
    groups: defaultdict[str, list[StatementSnapshot]] = defaultdict(list)
    for snapshot in snapshots:
        for each in snapshot.statements:
            groups[each.name].append(each)
    total = sum(each.seconds for group in groups.values() for each in group) or 1.0
    rows = [_statement(name, group, total) for name, group in groups.items()]
    return sorted(rows, key=lambda row: row.seconds, reverse=True)


def _statement(name: str, group: Sequence[StatementSnapshot], total: float) -> StatementRow:
    buckets = added([each.buckets for each in group])
    calls, seconds = sum(buckets), sum(each.seconds for each in group)
    kinds: Counter[str] = Counter()
    for each in group:
        kinds.update(each.errors)
    return StatementRow(
        name=name,
        calls=calls,
        seconds=seconds,
        share=seconds / total,
        mean=seconds / calls if calls else 0.0,
        p50=percentile(DURATION_BUCKETS, buckets, 0.5) or 0.0,
        p95=percentile(DURATION_BUCKETS, buckets, 0.95) or 0.0,
        p99=percentile(DURATION_BUCKETS, buckets, 0.99) or 0.0,
        rows=sum(each.rows for each in group),
        errors=kinds.total(),
        errors_by_kind=dict(kinds),
        last_error=max((each.last_error for each in group if each.last_error), default=None),
    )


def route_rows(snapshots: Iterable[Snapshot]) -> list[RouteRow]:
    """Return a row for each route that was asked for, the busiest first."""
    groups: defaultdict[tuple[str, str], list[RouteSnapshot]] = defaultdict(list)
    for snapshot in snapshots:
        for each in snapshot.routes:
            groups[each.method, each.path].append(each)
    return sorted((_route(group) for group in groups.values()), key=lambda row: row.requests, reverse=True)


def _route(group: Sequence[RouteSnapshot]) -> RouteRow:
    outcomes = [outcome for each in group for outcome in each.outcomes]
    buckets = added([outcome.buckets for outcome in outcomes])
    seconds = sum(outcome.seconds for outcome in outcomes)
    statements: Counter[str] = Counter()
    for each in group:
        statements.update(each.statements)
    return RouteRow(
        method=group[0].method,
        path=group[0].path,
        handler=group[0].handler,
        requests=sum(buckets),
        failures=sum(sum(outcome.buckets) for outcome in outcomes if outcome.status >= 500),
        p50=percentile(REQUEST_BUCKETS, buckets, 0.5) or 0.0,
        p95=percentile(REQUEST_BUCKETS, buckets, 0.95) or 0.0,
        p99=percentile(REQUEST_BUCKETS, buckets, 0.99) or 0.0,
        database_share=sum(each.database_seconds for each in group) / seconds if seconds else 0.0,
        statements=dict(statements),
    )
