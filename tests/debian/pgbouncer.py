"""Debian's PgBouncer in transaction mode, in front of Debian's PostgreSQL."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.debian.conftest import START_SECONDS, as_owner, free_port, stop

PROGRAM = Path("/usr/sbin/pgbouncer")
SERVER_CONNECTIONS = 2


@contextmanager
def bouncing(dsn: str, folder: Path) -> Generator[str]:
    """A DSN that leads to the database of `dsn` through at most SERVER_CONNECTIONS sessions on the server."""
    assert PROGRAM.exists(), f"{PROGRAM} is missing: `make test-all` installs Debian's pgbouncer"
    address, port = urlsplit(dsn), free_port()
    name = address.path.lstrip("/")
    server = f"host=127.0.0.1 port={address.port} user={address.username} password={address.password} dbname={name}"
    lines = [
        "[databases]",
        f"{name} = {server}",
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        f"listen_port = {port}",
        "unix_socket_dir =",
        "auth_type = any",
        "pool_mode = transaction",
        f"default_pool_size = {SERVER_CONNECTIONS}",
        "max_client_conn = 200",
    ]
    configuration, log = folder / "pgbouncer.ini", folder / "pgbouncer.log"
    configuration.write_text("\n".join(lines) + "\n")
    configuration.chmod(0o644)
    with log.open("wb") as output:
        process = subprocess.Popen(as_owner(PROGRAM, configuration), stdout=output, stderr=output)
    try:
        bounced = f"postgresql://postgres@127.0.0.1:{port}/{name}?sslmode=disable"
        wait_until_ready(bounced, process, log)
        yield bounced
    finally:
        stop(process)


def wait_until_ready(dsn: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return
