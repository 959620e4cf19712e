"""Debian's PostgreSQL 15, which has what the embedded server lacks: TLS and pg_stat_statements."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.databases import memory
from tests.debian.browser import chromium

__all__ = ["chromium"]
BINARIES = Path("/usr/lib/postgresql/15/bin")
START_SECONDS = 60
# An address that the server listens on and its certificate does not name.
UNCERTIFIED_HOST = "127.0.0.2"


@dataclass(frozen=True)
class DebianPostgres:
    """A running server, with TLS by a certificate for `localhost` and 127.0.0.1."""

    host: str
    port: int
    user: str
    password: str
    socket_folder: Path
    ca_file: Path
    """The authority that signed the server's certificate."""
    stranger_ca_file: Path
    """One that did not."""

    @property
    def dsn(self) -> str:
        """The superuser, by TCP and password."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/postgres"


@pytest.fixture(scope="session")
def debian_postgres() -> Iterator[DebianPostgres]:
    """One server for all tests, gone when they end, however they end."""
    if not BINARIES.exists():
        pytest.fail(f"{BINARIES} is missing: `make test-all` installs Debian's PostgreSQL 15")
    with tempfile.TemporaryDirectory(prefix="bindery-debian-", dir=memory()) as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        make_certificates(folder)
        password = secrets.token_urlsafe()
        create_cluster(folder, password)
        with running(folder) as port:
            yield DebianPostgres(
                host="localhost",
                port=port,
                user="postgres",
                password=password,
                socket_folder=folder,
                ca_file=folder / "ca.crt",
                stranger_ca_file=folder / "stranger.crt",
            )


def as_owner(*command: str | Path) -> list[str | Path]:
    """`command` by a user that PostgreSQL agrees to run as, which is not root; it ends when this process does."""
    other_user = ["--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *other_user, "--pdeathsig=INT", *command]


def run(folder: Path, *command: str | Path) -> None:
    done = subprocess.run(as_owner(*command), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def make_certificates(folder: Path) -> None:
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    for name in ("ca", "stranger"):
        run(folder, *new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    run(folder, *new, *signed, *names, "-keyout", "server.key", "-out", "server.crt")


def create_cluster(folder: Path, password: str) -> None:
    password_file = folder / "password"
    password_file.write_text(password)
    options = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    run(folder, BINARIES / "initdb", "--pgdata=data", f"--pwfile={password_file}", *options)


@contextmanager
def running(folder: Path) -> Generator[int]:
    """The server on a free port, which is what this yields."""
    port = free_port()
    settings = {
        "listen_addresses": f"127.0.0.1,{UNCERTIFIED_HOST}",
        "port": port,
        "unix_socket_directories": folder,
        "ssl": "on",
        "ssl_cert_file": folder / "server.crt",
        "ssl_key_file": folder / "server.key",
        "shared_preload_libraries": "pg_stat_statements",
        "fsync": "off",
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    with (folder / "log").open("wb") as log:
        command = as_owner(BINARIES / "postgres", "-D", "data", *options)
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        wait_until_ready(server, port, folder / "log")
        yield port
    finally:
        stop(server)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run([BINARIES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False).returncode:
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait(30)
