"""Debian's PgBouncer in transaction mode, in front of any server of the tests."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict

from benchmarks.processes import free_port

PROGRAM = Path("/usr/sbin/pgbouncer")
SERVER_CONNECTIONS = 2
START_SECONDS = 60
VARIABLE = "POSTGRES_THROUGH"
# Each transaction of a client runs in another session than the one before, if there are several.
SETTINGS = {
    "listen_addr": "127.0.0.1",
    "unix_socket_dir": "",
    "auth_type": "scram-sha-256",
    "pool_mode": "transaction",
    "server_round_robin": "1",
    "max_client_conn": "1000",
}


def is_in_between() -> bool:
    """Whether the environment asks for a PgBouncer between the tests and their databases; ValueError if it is unclear.

    With POSTGRES_THROUGH=pgbouncer the fixtures `database_url`, `service_dsn` and `settings` lead through one, and
    `direct_url` and `db`, by which tests look at what is stored, past it.
    """
    if (asked := os.environ.get(VARIABLE, "")) not in {"", "pgbouncer"}:
        raise ValueError(f"{VARIABLE} must be pgbouncer or nothing, not {asked!r}")
    return bool(asked)


@contextmanager
def bouncing(dsn: str, connections: int = SERVER_CONNECTIONS, **settings: str) -> Generator[str]:
    """A DSN of the same database through a PgBouncer with that many sessions for each of its databases and logins.

    With another database of the server in it, it leads there. The login of `dsn` is one that may look up the passwords
    of the others. `settings` are PgBouncer's own.
    """
    assert PROGRAM.exists(), f"{PROGRAM} is missing: `make test-all` installs Debian's pgbouncer"
    server, owner = conninfo_to_dict(dsn), _owner(dsn)
    user, password = str(server["user"]), str(server.get("password") or secrets.token_urlsafe())
    folder, port = Path(tempfile.mkdtemp(prefix="bindery-pgbouncer-")), free_port()
    (folder / "users.txt").write_text(f'"{user}" "{password}"\n')
    given = SETTINGS | settings | {"listen_port": str(port), "default_pool_size": str(connections)}
    (folder / "pgbouncer.ini").write_text(_configuration(dsn, given | {"auth_file": str(folder / "users.txt")}))
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, owner)
    process = _start(folder, owner)
    try:
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        bounced = f"postgresql://{login}@127.0.0.1:{port}/{server['dbname']}?sslmode=disable"
        _wait_until_ready(bounced, process, folder / "log")
        yield bounced
    finally:
        # At once, whoever is connected.
        process.terminate()
        process.wait(START_SECONDS)
        shutil.rmtree(folder)


def _configuration(dsn: str, settings: dict[str, str]) -> str:
    server = conninfo_to_dict(dsn)
    host = str(server["host"]).replace("localhost", "127.0.0.1")
    database = f"* = host={host} port={server.get('port') or 5432} auth_user={server['user']}"
    lines = (f"{key} = {value}" for key, value in settings.items())
    return "\n".join(["[databases]", database, "[pgbouncer]", *lines, ""])


def _owner(dsn: str) -> str | int:
    """The user that PgBouncer runs as, which must not be root, and must be able to enter the folder of the socket."""
    host = Path(str(conninfo_to_dict(dsn)["host"]))
    if os.geteuid():
        return os.geteuid()
    return host.stat().st_uid if host.is_absolute() and host.stat().st_uid else "nobody"


def _start(folder: Path, owner: str | int) -> subprocess.Popen[bytes]:
    other_user = [f"--reuid={owner}", "--clear-groups"] if os.geteuid() == 0 else []
    # It ends when this process does.
    command = ["setpriv", *other_user, "--pdeathsig=TERM", PROGRAM, folder / "pgbouncer.ini"]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def _wait_until_ready(dsn: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError as error:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"{error}\n{log.read_text()}"
            time.sleep(0.02)
        else:
            return
