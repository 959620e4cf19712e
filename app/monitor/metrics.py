"""/metrics: the counters of all workers and of PostgreSQL, in Prometheus' text format or as OpenMetrics.

The names follow OpenTelemetry's stable semantic conventions where there is one. Nothing is counted here: every scrape
reads the counters that the layer keeps anyway.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from app.db import DURATION_BUCKETS, PoolStatistics
from app.http.watch import REQUEST_BUCKETS
from app.monitor.process import DELAY_BUCKETS
from app.monitor.server import ServerState
from app.monitor.server_metrics import server_metrics
from app.monitor.snapshot import Snapshot

POOL_COUNTERS = {
    "acquires": "Connections lent.",
    "connects": "Connections opened.",
    "connect_failures": "Attempts to open a connection that failed.",
    "refusals": "Requests for a connection that were refused at once, as too many waited.",
    "pings": "Tests of idle connections.",
    "resets": "Resets of connections.",
    "retries": "Reads that ran again on another connection.",
}
_SYSTEM = "postgresql"


def exposition(snapshots: Sequence[Snapshot], server: ServerState, accept: str) -> tuple[bytes, str]:
    """Return the metrics and their content type, in the format that the Accept header prefers."""
    encode, content_type = choose_encoder(accept)
    return encode(_Registry(snapshots, server)), content_type


class _Registry:
    """What prometheus-client's encoders read."""

    def __init__(self, snapshots: Sequence[Snapshot], server: ServerState) -> None:
        self._snapshots = snapshots
        self._server = server

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        yield from _statements(self._snapshots)
        yield from _pools(self._snapshots)
        yield from _requests(self._snapshots)
        yield from _processes(self._snapshots)
        yield from server_metrics(self._server)


def _statements(snapshots: Sequence[Snapshot]) -> Iterator[Metric]:
    labels = ["db_system_name", "db_query_summary", "worker"]
    durations = HistogramMetricFamily(
        "db_client_operation_duration", "Time from sending a statement to its answer.", labels=labels, unit="seconds"
    )
    rows = CounterMetricFamily(
        "db_client_response_rows", "Rows returned, or touched where none are returned.", labels=labels
    )
    errors = CounterMetricFamily(
        "db_client_operation_errors", "Failures, by SQLSTATE or by the error's class.",
        labels=[*labels, "db_response_status_code"],
    )  # fmt: skip
    for snapshot in snapshots:
        for each in snapshot.statements:
            named = [_SYSTEM, each.name, str(snapshot.worker)]
            durations.add_metric(named, buckets(DURATION_BUCKETS, each.buckets), each.seconds)
            rows.add_metric(named, each.rows)
            for kind, count in each.errors.items():
                errors.add_metric([*named, kind], count)
    yield from (durations, rows, errors)


def _pools(snapshots: Sequence[Snapshot]) -> Iterator[Metric]:
    pools = [(str(each.worker), each.pool) for each in snapshots if each.pool]
    count = GaugeMetricFamily(
        "db_client_connection_count", "Open connections.", labels=["db_client_connection_state", "worker"]
    )
    for worker, pool in pools:
        count.add_metric(["used", worker], pool.in_use)
        count.add_metric(["idle", worker], pool.idle)
    yield count
    yield _gauge("db_client_connection_max", "Most connections allowed.", pools, lambda each: each.max_size)
    yield _gauge("db_client_connection_idle_min", "Connections kept open.", pools, lambda each: each.min_size)
    yield _gauge(
        "db_client_connection_pending_requests", "Tasks that wait for a connection.", pools, lambda each: each.waiting
    )
    yield _gauge("bindery_pool_opening", "Connections that are being opened.", pools, lambda each: each.opening)
    yield _gauge("bindery_pool_kept_back", "Connections kept from tasks that wait.", pools, lambda each: each.kept_back)
    timeouts = CounterMetricFamily(
        "db_client_connection_timeouts", "Waits for a connection that timed out.", labels=["worker"]
    )
    waits = HistogramMetricFamily(
        "db_client_connection_wait_time", "Time in the queue for a connection.", labels=["worker"], unit="seconds"
    )
    evictions = CounterMetricFamily("bindery_pool_evictions", "Connections closed.", labels=["reason", "worker"])
    for worker, pool in pools:
        timeouts.add_metric([worker], pool.timeouts)
        bounds = [bound for bound in pool.wait_histogram if bound != float("inf")]
        waits.add_metric([worker], buckets(bounds, list(pool.wait_histogram.values())), pool.wait_seconds)
        for reason, closed in pool.evictions.items():
            evictions.add_metric([reason, worker], closed)
    yield from (timeouts, waits, evictions)
    for name, meaning in POOL_COUNTERS.items():
        counter = CounterMetricFamily(f"bindery_pool_{name}", meaning, labels=["worker"])
        for worker, pool in pools:
            counter.add_metric([worker], getattr(pool, name))
        yield counter


def _gauge(
    name: str, meaning: str, pools: Iterable[tuple[str, PoolStatistics]], read: Callable[[PoolStatistics], float]
) -> Metric:
    gauge = GaugeMetricFamily(name, meaning, labels=["worker"])
    for worker, pool in pools:
        gauge.add_metric([worker], read(pool))
    return gauge


def _requests(snapshots: Sequence[Snapshot]) -> Iterator[Metric]:
    durations = HistogramMetricFamily(
        "http_server_request_duration", "Time from the head of a request to the end of its answer.",
        labels=["http_request_method", "http_route", "http_response_status_code", "worker"], unit="seconds",
    )  # fmt: skip
    active = GaugeMetricFamily("http_server_active_requests", "Requests under way.", labels=["worker"])
    refusals = CounterMetricFamily("bindery_refusals", "Requests refused with 503.", labels=["reason", "worker"])
    for snapshot in snapshots:
        worker = str(snapshot.worker)
        active.add_metric([worker], snapshot.active_requests)
        for route in snapshot.routes:
            for each in route.outcomes:
                named = [route.method, route.path, str(each.status), worker]
                durations.add_metric(named, buckets(REQUEST_BUCKETS, each.buckets), each.seconds)
        for reason, count in snapshot.refusals.items():
            refusals.add_metric([reason, worker], count)
    yield from (durations, active, refusals)


def _processes(snapshots: Sequence[Snapshot]) -> Iterator[Metric]:
    cpu = CounterMetricFamily("process_cpu", "Processor time.", labels=["worker"], unit="seconds")
    memory = GaugeMetricFamily("process_resident_memory_bytes", "Memory.", labels=["worker"])
    started = GaugeMetricFamily("process_start_time_seconds", "Start, since 1970.", labels=["worker"])
    delay = HistogramMetricFamily(
        "bindery_event_loop_delay", "How late the event loop was with a timer.", labels=["worker"], unit="seconds"
    )
    labels = ["generation", "worker"]
    collections = CounterMetricFamily("python_gc_collections", "Garbage collections.", labels=labels)
    collecting = CounterMetricFamily("python_gc_duration", "Time in collections.", labels=labels, unit="seconds")
    for snapshot in snapshots:
        worker, process = str(snapshot.worker), snapshot.process
        cpu.add_metric([worker], process.cpu_seconds)
        memory.add_metric([worker], process.resident_bytes)
        started.add_metric([worker], process.started_at)
        delay.add_metric([worker], buckets(DELAY_BUCKETS, process.loop_delays), process.loop_delay_seconds)
        for generation, count in enumerate(process.collections):
            collections.add_metric([str(generation), worker], count)
            collecting.add_metric([str(generation), worker], process.collection_seconds[generation])
    yield from (cpu, memory, started, delay, collections, collecting)


def buckets(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Return what Prometheus wants of a histogram: how many were up to each bound, in all."""
    total, found = 0, list[tuple[str, float]]()
    for bound, count in zip([*(f"{each:g}" for each in bounds), "+Inf"], counts, strict=True):
        total += count
        found.append((bound, total))
    return found
