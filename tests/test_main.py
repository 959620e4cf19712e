from __future__ import annotations

import re
import select
import signal
import socket
import stat
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest

from app.migration_files import migration_ids
from tests.processes import TIMEOUT, end, run, server_folder, servers_of, service

KEY = "a key of the tests, long enough for HMAC-SHA-256"
# Readiness reads this table.
LOCK = "lock table _yoyo_migration in access exclusive mode"
BLOCKED_REQUEST = b"GET /health/ready HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
def folder() -> Generator[Path]:
    """A working folder with room for an embedded server."""
    with server_folder() as postgres:
        yield postgres.parent


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_and_the_next_start_has_the_data(folder: Path, number: signal.Signals) -> None:
    postgres = folder / ".postgres"
    with service(folder=folder) as (process, client):
        assert client.get("/health/live").status_code == 200
        key = (postgres / "secret_key").read_text()
        assert len(servers_of(postgres)) == 1
        assert end(process, number) == (0, "", "")
    assert servers_of(postgres) == []

    with service("serve", folder=folder) as (process, client):
        assert client.get("/health/ready").status_code == 200
        assert (postgres / "secret_key").read_text() == key
        assert end(process, number, number)[0] == 0
    assert servers_of(postgres) == []


def test_only_its_owner_can_read_the_key_that_signs_tokens(folder: Path) -> None:
    with service(folder=folder) as (process, _):
        end(process, signal.SIGTERM)

    key = folder / ".postgres" / "secret_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(key.read_text()) >= 32


def test_migrating_beside_a_running_service_leaves_its_server_running(folder: Path) -> None:
    with service(folder=folder) as (process, client):
        listed = run("app", "migrate", "list", folder=folder)

        assert listed.returncode == 0
        assert "pending" not in listed.stdout
        assert client.get("/health/ready").status_code == 200
        end(process, signal.SIGTERM)
    assert servers_of(folder / ".postgres") == []


def test_a_request_in_flight_is_answered_before_the_end(folder: Path, database_url: str) -> None:
    with service(folder=folder, DATABASE_URL=database_url, SECRET_KEY=KEY) as (process, client):
        with (
            psycopg.connect(database_url) as holder,
            socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=TIMEOUT) as connection,
        ):
            holder.execute(LOCK)
            connection.sendall(BLOCKED_REQUEST)
            wait_for_a_blocked_statement(database_url)
            process.send_signal(signal.SIGTERM)
            wait_until_nobody_listens(client.base_url.host, client.base_url.port or 0)
            holder.rollback()
            answer = connection.recv(100)

        assert answer.startswith(b"HTTP/1.1 200 ")
        assert end(process) == (0, "", "")


def wait_for_a_blocked_statement(dsn: str) -> None:
    asked = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(600):
            if connection.execute(asked).fetchone() != (0,):
                return
            select.select([], [], [], 0.1)
    raise AssertionError("no statement was ever blocked")


def wait_until_nobody_listens(host: str, port: int) -> None:
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) != 0:
                return
        select.select([], [], [], 0.1)
    raise AssertionError("the service went on listening")


def test_a_request_on_an_idle_connection_is_answered_when_the_service_ends_and_is_the_last(
    folder: Path, database_url: str
) -> None:
    with service(folder=folder, DATABASE_URL=database_url, SECRET_KEY=KEY) as (process, client):
        address = client.base_url.host, client.base_url.port or 0
        with socket.create_connection(address, timeout=TIMEOUT) as used, socket.create_connection(address) as silent:
            used.sendall(BLOCKED_REQUEST)
            first = used.recv(10_000)
            process.send_signal(signal.SIGTERM)
            wait_until_nobody_listens(*address)
            used.sendall(BLOCKED_REQUEST)
            last = received(used)
            nothing = received(silent)

        assert first.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" not in first
        assert last.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in last
        assert nothing == b""
        assert end(process) == (0, "", "")


def test_a_second_signal_does_not_wait_for_idle_connections(folder: Path, database_url: str) -> None:
    with service(folder=folder, DATABASE_URL=database_url, SECRET_KEY=KEY) as (process, client):
        address = client.base_url.host, client.base_url.port or 0
        with socket.create_connection(address), socket.create_connection(address, timeout=TIMEOUT) as used:
            used.sendall(BLOCKED_REQUEST)
            assert used.recv(10_000).startswith(b"HTTP/1.1 200 ")
            process.send_signal(signal.SIGTERM)
            wait_until_nobody_listens(*address)
            assert end(process, signal.SIGTERM) == (0, "", "")


def test_a_client_that_reads_nothing_does_not_hold_up_the_end(folder: Path, database_url: str) -> None:
    given = {"DATABASE_URL": database_url, "SECRET_KEY": KEY, "SHUTDOWN_TIMEOUT": "1"}
    with service(folder=folder, **given) as (process, client):
        address = client.base_url.host, client.base_url.port or 0
        with socket.create_connection(address) as silent:
            silent.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 90)
            assert client.get("/health/ready").status_code == 200
            assert end(process, signal.SIGTERM)[0] == 0


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_a_second_signal_does_not_wait_for_requests(folder: Path, database_url: str) -> None:
    with service(folder=folder, DATABASE_URL=database_url, SECRET_KEY=KEY, SHUTDOWN_TIMEOUT="3600") as (
        process,
        client,
    ):
        with (
            psycopg.connect(database_url) as holder,
            socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=TIMEOUT) as connection,
        ):
            holder.execute(LOCK)
            connection.sendall(BLOCKED_REQUEST)
            wait_for_a_blocked_statement(database_url)
            process.send_signal(signal.SIGINT)
            wait_until_nobody_listens(client.base_url.host, client.base_url.port or 0)
            code, _, errors = end(process, signal.SIGINT)

        assert code == 0
        assert "Traceback" not in errors


def test_a_database_of_ones_own_is_migrated_only_on_request(folder: Path, database: dict[str, str]) -> None:
    settings = {**database, "SECRET_KEY": KEY}
    run("app", "migrate", "rollback", folder=folder, **database)

    with service(folder=folder, **settings) as (process, client):
        assert client.get("/health/ready").status_code == 503
        end(process, signal.SIGTERM)
    with service("serve", "--migrate", folder=folder, **settings) as (process, client):
        assert client.get("/health/ready").status_code == 200
        end(process, signal.SIGTERM)

    assert not (folder / ".postgres").exists()


def test_a_port_in_use_is_one_line_that_names_it(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run("app", folder=folder, PORT=str(port))

    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: port {port} of 127.0.0.1 is in use by another program")
    assert "PORT=" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / ".postgres").exists()


@pytest.mark.parametrize(
    ("arguments", "settings", "complaint"),
    [
        ([], {"PORT": "http"}, "Error: PORT: input should be a valid integer"),
        ([], {"HOST": "192.0.2.1", "PORT": "0"}, "Error: HOST=192.0.2.1 is no address of this machine"),
        ([], {"DATABASE_URL": "postgresql://db/x"}, "Error: SECRET_KEY: is required with DATABASE_URL"),
        (
            ["migrate"],
            # A migration is refused before, if DATABASE_URL led to a PgBouncer.
            {"DATABASE_URL": "postgresql://ann:s3same@127.0.0.1:1/x", "DB_PGBOUNCER": "false"},
            "Error: the database cannot be reached",
        ),
        (["migrate"], {"DATABASE_URL": "mysql://ann:s3same@db/x"}, "Error: DATABASE_URL: does not start with"),
        (["migrate", "new", "!"], {}, "Error: a migration needs a title"),
        (
            ["check"],
            {"TEST_DATABASE_URL": "postgresql://ann:s3same@127.0.0.1:1/x"},
            "Error: the server of the scratch database cannot be reached",
        ),
        (["check", "--server", "mysql://ann:s3same@db/x"], {}, "Error: the server of the scratch database has an"),
        (
            ["check", "--server", "postgresql://ann:s3same@[::1/x"],
            {},
            "Error: the server of the scratch database has no",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    folder: Path, arguments: list[str], settings: dict[str, str], complaint: str
) -> None:
    done = run("app", *arguments, folder=folder, **settings)

    assert done.returncode == 1
    assert done.stderr.startswith(complaint)
    assert len(done.stderr.splitlines()) == 1
    assert "s3same" not in done.stderr


def test_a_database_that_cannot_be_reached_is_no_traceback(folder: Path) -> None:
    url = "postgresql://ann:s3same@127.0.0.1:1/x"
    done = run("app", folder=folder, DATABASE_URL=url, SECRET_KEY=KEY, PORT="0")

    assert done.returncode == 1
    assert done.stderr.startswith("Error: the service could not start: ")
    assert "Traceback" not in done.stderr
    assert "s3same" not in done.stderr


@pytest.mark.parametrize(
    "command",
    [[], ["serve"], ["check"], ["migrate"], ["migrate", "apply"], ["migrate", "rollback"], ["migrate", "list"]],
)
def test_each_command_explains_itself(folder: Path, command: list[str]) -> None:
    done = run("app", *command, "--help", folder=folder)

    assert done.returncode == 0
    assert done.stdout.startswith(" ".join(["Usage: python -m app", *command]))
    assert "serve" in done.stdout or f"python -m app {command[0]}" in done.stdout


def test_an_unknown_command_is_a_usage_error(folder: Path) -> None:
    done = run("app", "sing", folder=folder)

    assert done.returncode == 2
    assert "No such command 'sing'" in done.stderr


def test_migrations_go_down_and_up_at_the_command_line(folder: Path, database: dict[str, str]) -> None:
    ids = migration_ids()
    all_down = run("app", "migrate", "rollback", "--all", folder=folder, **database)
    all_up = run("app", "migrate", folder=folder, **database)
    two_down = run("app", "migrate", "rollback", "--count", "2", folder=folder, **database)

    states = [[line.split()[:2] for line in done.stdout.splitlines()[1:]] for done in (all_down, all_up, two_down)]
    assert states[0] == [[id_, "pending"] for id_ in ids]
    assert [id_ for id_, state in states[1] if state != "pending"] == ids
    assert [id_ for id_, state in states[2] if state == "pending"] == ids[-2:]


def test_the_checker_needs_nothing_but_a_server(folder: Path, direct_url: str) -> None:
    done = run("app", "check", folder=folder, TEST_DATABASE_URL=direct_url)

    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^\d+ queries, 0 problems, ", done.stdout, re.MULTILINE)
