"""`python -m app serve --workers N`: several processes behind one port."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import psycopg
import pytest

from app.settings import Settings
from app.workers import SHARED, share
from tests.pgbouncer import is_in_between
from tests.processes import ROOT, TIMEOUT, end, events, run, server_folder, servers_of, started

KEY = "k" * 32
LISTENING = re.compile(r"Listening on (http://127\.0\.0\.1:\d+) in 2 processes \(\w+; docs at .*\)\n")


@contextmanager
def workers(
    dsn: str, *options: str, folder: Path = ROOT, **settings: str
) -> Generator[tuple[subprocess.Popen[str], str]]:
    """The service in two processes, when both serve, and its address."""
    command = [sys.executable, "-m", "app", "serve", "--workers", "2", *options]
    given = {"DATABASE_URL": dsn, "SECRET_KEY": KEY, "PORT": "0", "DB_POOL_SIZE": "4", "DB_MAX_OVERFLOW": "0"}
    with started(command, folder=folder, **given | settings) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = LISTENING.fullmatch(line)
        assert found, line + process.communicate(timeout=TIMEOUT)[1]
        yield process, found[1]


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


def sessions(dsn: str) -> int:
    """How many connections others have to this test's own database: those of the service, or of its PgBouncer."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        ).fetchone()
    assert row is not None
    return row[0]


def test_all_workers_answer_behind_one_line_and_end_together(database_url: str) -> None:
    with workers(database_url) as (process, address):
        running = children(process)
        assert len(running) == 2
        # The pool of four is shared: two connections each. Behind a PgBouncer the server sees none of them.
        assert is_in_between() or sessions(database_url) == 4
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(httpx2.get, [f"{address}/health/ready"] * 64)
            assert {answer.status_code for answer in answers} == {200}
        assert end(process, signal.SIGTERM) == (0, "", "")
        assert not any(worker.is_running() for worker in running)


def test_two_signals_end_the_workers_without_waiting(database_url: str) -> None:
    with workers(database_url) as (process, _):
        process.send_signal(signal.SIGINT)
        assert end(process, signal.SIGINT)[0] == 0


def test_a_worker_that_crashes_is_replaced_and_the_others_serve_on(database_url: str) -> None:
    with workers(database_url) as (process, address):
        victim, other = children(process)
        victim.kill()
        until(lambda: victim.pid not in {child.pid for child in children(process)})
        assert httpx2.get(f"{address}/health/ready", timeout=TIMEOUT).status_code == 200
        until(lambda: len(children(process)) == 2)
        until(lambda: is_in_between() or sessions(database_url) == 4)
        assert other.pid in {child.pid for child in children(process)}
        code, output, errors = end(process, signal.SIGTERM)

    assert (code, output) == (0, "")
    assert events(errors) == [f"worker {victim.pid} ended: it was ended by SIGKILL; a new one starts in 1 s"]


def test_a_signal_replaces_the_workers_one_after_the_other_and_every_request_is_answered(database_url: str) -> None:
    def ask(address: str) -> list[int]:
        statuses: list[int] = []
        with httpx2.Client(base_url=address, timeout=TIMEOUT) as client:
            while not replaced.is_set():
                statuses.append(client.get("/api/tags").status_code)
        return statuses

    replaced = threading.Event()
    with workers(database_url) as (process, address), ThreadPoolExecutor(4) as pool:
        before = {child.pid for child in children(process)}
        asking = [pool.submit(ask, address) for _ in range(4)]
        try:
            process.send_signal(signal.SIGUSR1)
            until(lambda: not before & {child.pid for child in children(process)})
            until(lambda: len(children(process)) == 2)
        finally:
            replaced.set()
        statuses = [status for each in asking for status in each.result()]
        assert end(process, signal.SIGTERM) == (0, "", "")

    assert set(statuses) == {200}


def test_workers_end_when_their_parent_is_killed(database_url: str) -> None:
    with workers(database_url) as (process, _):
        running = children(process)
        process.kill()
        psutil.wait_procs(running, timeout=TIMEOUT)
        assert not any(worker.is_running() for worker in running)


def test_a_service_whose_workers_cannot_start_ends_with_their_message(database_url: str) -> None:
    address = database_url.replace("/bindery_", "/no_such_")
    done = run("app", "serve", "--workers", "2", folder=ROOT, DATABASE_URL=address, SECRET_KEY=KEY, PORT="0")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: the service could not start: ")
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr


def test_sigterm_under_load_loses_no_request_that_was_admitted(database_url: str) -> None:
    def ask(address: str) -> list[int]:
        """Ask until the service refuses connections; the statuses of all answers."""
        statuses: list[int] = []
        with httpx2.Client(base_url=address, timeout=TIMEOUT) as client:
            for _ in range(100_000):
                try:
                    statuses.append(client.get("/health/ready").status_code)
                except (httpx2.ConnectError, httpx2.RemoteProtocolError, httpx2.ReadError):
                    # An idle connection may close while the next request is on its way: that one was not admitted.
                    return statuses
        raise AssertionError("the service did not end")

    with workers(database_url) as (process, address), ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, address) for _ in range(4)]
        time.sleep(1)
        assert end(process, signal.SIGTERM) == (0, "", "")
        statuses = [status for each in asking for status in each.result()]

    assert len(statuses) > 4
    assert set(statuses) == {200}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_what_workers_share_adds_up_and_each_has_the_least(count: int) -> None:
    settings = Settings(db_pool_size=10, db_max_overflow=5, export_connections=3)
    parts = [share(settings, count, number) for number in range(count)]

    for name, least in SHARED.items():
        each = [int(part[name.upper()]) for part in parts]
        total = getattr(settings, name)
        assert min(each) >= least
        assert sum(each) == total or (min(each) == least and sum(each) <= total + count * least)
        assert max(each) - min(each) <= 1


def test_a_pool_beyond_the_limit_of_the_server_is_a_warning_at_the_start(direct_url: str) -> None:
    # A PgBouncer has more clients than the server has connections: that is what it is for.
    with workers(direct_url, DB_POOL_SIZE="2", DB_MAX_OVERFLOW="500", DB_PGBOUNCER="false") as (process, _):
        code, _, errors = end(process, signal.SIGTERM)

    assert code == 0
    assert re.fullmatch(
        r"DB_POOL_SIZE \+ DB_MAX_OVERFLOW: are 502, but the server admits \d+ connections of all its users: requests"
        r" will fail under load; choose less, or raise max_connections of the server",
        events(errors)[0],
    )


def test_the_setting_is_the_default_of_the_option(database_url: str) -> None:
    command = [sys.executable, "-m", "app", "serve"]
    settings = {"DATABASE_URL": database_url, "SECRET_KEY": KEY, "PORT": "0", "WORKERS": "2"}
    with started(command, folder=ROOT, **settings) as process:
        assert process.stdout is not None
        assert LISTENING.fullmatch(process.stdout.readline())
        assert end(process, signal.SIGTERM)[0] == 0


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_service_that_waits_for_its_database_ends_at_a_signal(count: str) -> None:
    settings = {"DATABASE_URL": "postgresql://x@127.0.0.1:1/none", "DB_STARTUP_WAIT": "600", "SECRET_KEY": KEY}
    command = [sys.executable, "-m", "app", "serve", "--workers", count]
    with started(command, folder=ROOT, PORT="0", **settings) as process:
        assert process.stderr is not None
        assert events(process.stderr.readline())[0].startswith("waiting for the database: ")
        running = children(process)
        code, output, errors = end(process, signal.SIGTERM)

    assert (code, output) == (0, "")
    assert "Traceback" not in errors
    assert not any(worker.is_running() for worker in running)


def test_workers_that_wait_for_their_database_end_with_their_parent() -> None:
    settings = {"DATABASE_URL": "postgresql://x@127.0.0.1:1/none", "DB_STARTUP_WAIT": "600", "SECRET_KEY": KEY}
    command = [sys.executable, "-m", "app", "serve", "--workers", "2"]
    with started(command, folder=ROOT, PORT="0", **settings) as process:
        assert process.stderr is not None
        assert events(process.stderr.readline())[0].startswith("waiting for the database: ")
        running = children(process)
        process.kill()
        psutil.wait_procs(running, timeout=TIMEOUT)

    assert not any(worker.is_running() for worker in running)


def test_the_embedded_server_ends_with_the_workers() -> None:
    with server_folder() as nowhere:
        folder = nowhere.parent
        with started([sys.executable, "-m", "app", "serve", "--workers", "2"], folder=folder, PORT="0") as process:
            assert process.stdout is not None
            assert LISTENING.fullmatch(process.stdout.readline())
            assert len(servers_of(folder / ".postgres")) == 1
            assert end(process, signal.SIGTERM) == (0, "", "")
        assert servers_of(folder / ".postgres") == []


def test_workers_take_changes_of_the_sql_files(tmp_path: Path, database_url: str) -> None:
    for name in ("app", "sql", "migrations"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    health = tmp_path / "sql" / "health.sql"
    with workers(database_url, "--reload", folder=tmp_path) as (process, address):
        assert httpx2.get(f"{address}/health/ready", timeout=TIMEOUT).status_code == 200
        text = health.read_text()
        changed = "-- name: list_applied_migrations\nselect 'none' as migration_id;\n\n-- name: delete_nothing"
        health.write_text(changed + text.partition("-- name: delete_nothing")[2])
        answers = [httpx2.get(f"{address}/health/ready", timeout=TIMEOUT).status_code for _ in range(30)]
        assert set(answers) == {503}
        assert end(process, signal.SIGTERM)[0] == 0
