"""The metrics of PostgreSQL and of its machine."""

from collections.abc import Iterator
from dataclasses import asdict

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from app.monitor.server import ServerState

GAUGES = {
    "size_bytes": ("postgresql_database_size_bytes", "Size of the database."),
    "connections": ("postgresql_connections", "Open sessions of the database."),
    "server_connections": ("postgresql_server_connections", "Open sessions of all databases."),
    "max_connections": ("postgresql_connections_max", "Most sessions of all databases."),
    "oldest_transaction_seconds": ("postgresql_oldest_transaction_seconds", "Age of the oldest transaction."),
    "oldest_idle_transaction_seconds": (
        "postgresql_oldest_idle_transaction_seconds", "Age of the oldest transaction whose session is idle.",
    ),
    "waiting_locks": ("postgresql_waiting_locks", "Locks that are waited for."),
    "replay_lag_seconds": ("postgresql_replay_lag_seconds", "Age of what this standby replayed last."),
}  # fmt: skip
COUNTERS = {
    "commits": ("postgresql_commits", "Transactions committed."),
    "rollbacks": ("postgresql_rollbacks", "Transactions rolled back."),
    "blocks_hit": ("postgresql_blocks_hit", "Blocks found in the server's memory."),
    "blocks_read": ("postgresql_blocks_read", "Blocks that were not."),
    "deadlocks": ("postgresql_deadlocks", "Deadlocks."),
    "temp_bytes": ("postgresql_temp_bytes", "Bytes written to temporary files."),
    "conflicts": ("postgresql_conflicts", "Queries cancelled on a standby."),
}


def server_metrics(state: ServerState) -> Iterator[Metric]:
    """Yield the metrics of the server; of one that does not answer only that it does not."""
    yield GaugeMetricFamily("postgresql_up", "1 if the server answers, else 0.", value=0 if state.error else 1)
    if state.machine.memory_available is not None:
        available = state.machine.memory_available
        yield GaugeMetricFamily("machine_memory_available_bytes", "Memory of the machine that is free.", available)
    if state.error or state.database is None:
        return
    figures = asdict(state.database)
    for name, (metric, meaning) in GAUGES.items():
        if figures[name] is not None:
            yield GaugeMetricFamily(metric, meaning, value=figures[name])
    for name, (metric, meaning) in COUNTERS.items():
        yield CounterMetricFamily(metric, meaning, value=figures[name])
    yield from _lists(state)
    if state.process is not None:
        if state.process.cpu_seconds is not None:
            yield CounterMetricFamily(
                "postgresql_cpu_seconds", "Processor time of the server.", value=state.process.cpu_seconds
            )
        if state.process.memory_bytes is not None:
            yield GaugeMetricFamily(
                "postgresql_memory_bytes", "Memory of the server.", value=state.process.memory_bytes
            )


def _lists(state: ServerState) -> Iterator[Metric]:
    sessions = GaugeMetricFamily("postgresql_sessions", "Sessions of the database, by state.", labels=["state"])
    for each in state.states:
        sessions.add_metric([each.state], each.sessions)
    locks = GaugeMetricFamily("postgresql_locks", "Locks, by mode.", labels=["mode", "granted"])
    for lock in state.locks:
        locks.add_metric([lock.mode, str(lock.granted).lower()], lock.locks)
    lag = GaugeMetricFamily("postgresql_replica_lag_bytes", "What a standby has yet to replay.", labels=["replica"])
    for replica in state.replicas:
        if replica.lag_bytes is not None:
            lag.add_metric([replica.application_name or ""], replica.lag_bytes)
    yield from (sessions, locks, lag)
