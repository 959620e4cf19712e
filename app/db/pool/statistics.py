"""A snapshot of a pool for monitoring."""

from dataclasses import dataclass

from app.db.pool.counters import WAIT_BUCKETS
from app.db.pool.state import PoolState


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """The pool at one moment, and its counters since it was opened. Times are in seconds.

    `size` counts open connections, `in_use` those that are lent, tested or reset, `opening` those being opened.
    `wait_histogram` maps each upper bound, of which the last is infinite, to the number of waits up to it and above the
    previous bound. `evictions` counts closed connections by reason: dead, fatal, silent, read only, idle, lifetime,
    retired, reset, closing, and fault, which means a bug in this layer. `connect_error` says why the last attempt to
    open a connection failed, "" if it succeeded.
    """

    min_size: int
    max_size: int
    size: int
    in_use: int
    idle: int
    opening: int
    waiting: int
    acquires: int
    waits: int
    wait_seconds: float
    wait_histogram: dict[float, int]
    timeouts: int
    refusals: int
    connects: int
    connect_failures: int
    pings: int
    resets: int
    retries: int
    evictions: dict[str, int]
    connect_error: str


def snapshot(state: PoolState, *, opening: int, connect_error: str) -> PoolStatistics:
    """Return the sizes of the pool and its counters."""
    counters = state.counters
    return PoolStatistics(
        min_size=state.options.min_size,
        max_size=state.options.max_size,
        size=len(state.sessions),
        in_use=len(state.sessions) - len(state.idle),
        idle=len(state.idle),
        opening=opening,
        waiting=len(state.queue.waiters),
        acquires=counters.acquires,
        waits=counters.waits,
        wait_seconds=counters.wait_seconds,
        wait_histogram=dict(zip((*WAIT_BUCKETS, float("inf")), counters.wait_buckets, strict=True)),
        timeouts=counters.timeouts,
        refusals=counters.refusals,
        connects=counters.connects,
        connect_failures=counters.connect_failures,
        pings=counters.pings,
        resets=counters.resets,
        retries=counters.retries,
        evictions=dict(counters.evictions),
        connect_error=connect_error,
    )
