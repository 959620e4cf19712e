"""The kinds of faults. Each is a coroutine function that makes so many rounds of it under load, and fills a ledger."""

from functools import partial
from pathlib import Path

from tests.faults.kinds.clients import cancelled_requests
from tests.faults.kinds.credentials import replaced_certificate, rotated_password
from tests.faults.kinds.line import broken_network, lost_commit
from tests.faults.kinds.processes import replaced_workers
from tests.faults.kinds.readers import slow_readers
from tests.faults.kinds.roles import changed_name, failover, switchover
from tests.faults.kinds.room import ended_sessions, full_disk, no_memory
from tests.faults.kinds.server import (
    full_server,
    killed_server,
    killed_server_with_workers,
    locked_table,
    migrated_under_load,
)
from tests.faults.kinds.setting import Kind, Setting
from tests.faults.servers import DEBIAN
from tests.pgbouncer import PROGRAM

__all__ = ["KINDS", "NEEDS", "Kind", "Setting"]

KINDS: dict[str, Kind] = {
    "server killed": killed_server,
    "server killed, 2 workers": killed_server_with_workers,
    "network broken": broken_network,
    "cut at COMMIT": lost_commit,
    "requests cancelled": cancelled_requests,
    "failover": failover,
    "switchover": switchover,
    "name changed": changed_name,
    "workers replaced": replaced_workers,
    "server killed behind PgBouncer": partial(killed_server, pooled=True),
    "requests cancelled behind PgBouncer": partial(cancelled_requests, pooled=True),
    "server full": full_server,
    "disk full": full_disk,
    "no memory": no_memory,
    "sessions ended": ended_sessions,
    "password rotated": rotated_password,
    "certificate replaced": replaced_certificate,
    "slow readers": slow_readers,
    "table locked": locked_table,
    "migrated": migrated_under_load,
}
NEEDS: dict[str, Path] = {
    "certificate replaced": DEBIAN,
    "server killed behind PgBouncer": PROGRAM,
    "requests cancelled behind PgBouncer": PROGRAM,
}
"""What of Debian a kind needs; only its PostgreSQL 15 has TLS."""
