"""Real processes of this program, with an environment that holds no settings but the test's own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
import psutil

from app.settings import Settings
from tests.pgbouncer import is_in_between

ROOT = Path(__file__).parent.parent
TIMEOUT = 60


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without settings, and then with these. Requests have no log lines.

    The login of the tests is a superuser, which production refuses.
    """
    settings = {name.upper() for name in Settings.model_fields}
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in settings}
    own = {"PYTHONWARNINGS": "error", "LOG_LEVEL": "warning", "DB_ALLOW_SUPERUSER": "true"}
    return inherited | own | {"DB_PGBOUNCER": str(is_in_between()).lower()} | changes


def run(*arguments: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """`python -m app` or another module, to its end, in `folder`."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment(**settings), capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


LISTENING = r"Listening on (http://127\.0\.0\.1:\d+) \(\w+; docs at /docs, monitor at /monitor, Ctrl-C stops\)\n"


@contextmanager
def started(command: list[str], *, folder: Path, **settings: str) -> Generator[subprocess.Popen[str]]:
    """A process that runs for the length of the block; killed at its end if it still runs."""
    with heeded_signals():
        process = subprocess.Popen(
            command, cwd=folder, env=environment(**settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def heeded_signals() -> Generator[None]:
    """Processes that are started in the block heed the signals that `nohup` and `&` made this one ignore."""
    ignored = [number for number in (signal.SIGHUP, signal.SIGINT) if signal.getsignal(number) is signal.SIG_IGN]
    if threading.current_thread() is not threading.main_thread():
        # Only there can it be changed.
        ignored = []
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def service(*options: str, folder: Path, **settings: str) -> Generator[tuple[subprocess.Popen[str], httpx2.Client]]:
    """`python -m app` on a free port, when it listens, and a client of it."""
    with started([sys.executable, "-m", "app", *options], folder=folder, PORT="0", **settings) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(
            r"Listening on (http://127\.0\.0\.1:\d+) \(\w+; docs at /docs, monitor at /monitor, Ctrl-C stops\)\n", line
        )
        assert found, line + process.communicate(timeout=TIMEOUT)[1]
        with httpx2.Client(base_url=found[1], timeout=TIMEOUT) as client:
            yield process, client


def end(process: subprocess.Popen[str], *numbers: int) -> tuple[int, str, str]:
    """Exit code, output and errors of a process that is sent these signals."""
    for number in numbers:
        process.send_signal(number)
    output, errors = process.communicate(timeout=TIMEOUT)
    return process.returncode, output, errors


def events(lines: str) -> list[str]:
    """What each log line says."""
    return [json.loads(line)["event"] for line in lines.splitlines()]


def servers_of(folder: Path) -> list[int]:
    """The process numbers of PostgreSQL servers with their data in `folder`."""
    running = psutil.process_iter(["pid", "cmdline"])
    return [p.pid for p in running if str(folder.resolve() / "data") in (p.info["cmdline"] or [])]


@contextmanager
def server_folder() -> Generator[Path]:
    """A path for an embedded server, where nothing is yet; what runs or lies there at the end is removed.

    Not below pytest's own folder: pytest closes that to all users but one at each start, and a server that root runs is
    another user.
    """
    with TemporaryDirectory(prefix="bindery-") as parent:
        folder = Path(parent) / "postgres"
        try:
            yield folder
        finally:
            for pid in servers_of(folder):
                os.kill(pid, signal.SIGKILL)
