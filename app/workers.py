"""Several processes that serve one socket: started and stopped together, and replaced when one crashes.

uvicorn's supervisor does not fit: it cannot tell when all workers serve, its workers outlive a parent that is killed,
and it prints a traceback for each worker that cannot start.
"""

import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

from app.board import create_board
from app.serve import ServiceError, listening_line
from app.settings import Settings

logger = logging.getLogger("app.workers")

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REPLACING = signal.SIGUSR1
# Seconds between the ends of two workers that cannot start, doubled each time.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
# Seconds beyond SHUTDOWN_TIMEOUT after which a worker that has not ended is killed.
GRACE = 5.0
READY = b"ready\n"
# What all workers together may use: each gets its part, and at least so much.
SHARED = {
    "db_pool_size": 1, "db_max_overflow": 0, "db_pool_max_waiting": 1, "db_pool_connect_rate": 1,
    "http_max_connections": 1, "export_connections": 1, "password_workers": 1,
}  # fmt: skip


def run_workers(listener: socket.socket, settings: Settings, count: int, *, reloads: bool) -> None:
    """Serve the bound socket in `count` processes until SIGINT, SIGTERM or SIGHUP; a second signal hurries them.

    SIGUSR1 replaces the workers one after the other, while the others serve. Raises ServiceError when a worker cannot
    start at first, with the worker's own message. Later a worker that ended is replaced, after a pause that grows while
    no new one can start.
    """
    Supervisor(listener, settings, count, reloads=reloads).run()


def share(settings: Settings, count: int, number: int) -> dict[str, str]:
    """Return the settings of worker `number`, from 0, as environment variables: its part of what all share."""
    parts: dict[str, str] = {}
    for name, least in SHARED.items():
        total: int = getattr(settings, name)
        parts[name.upper()] = str(max(least, total // count + (number < total % count)))
    return parts


class Slot(NamedTuple):
    """The place of a worker on the board: the file's descriptor, how many workers there are, and its number from 0."""

    board: int
    workers: int
    number: int


class Worker:
    """One process. `ready` is true once it serves; `said` is what it wrote to its status pipe so far.

    At the moment `kill_at`, by time.monotonic(), it is killed; `is_replaced` says that it is to end for a new one.
    """

    def __init__(self, listener: socket.socket, slot: Slot, settings: dict[str, str], *, reloads: bool) -> None:
        self.status, theirs = os.pipe()
        # The other end closes when this process ends, however it ends: then so does the worker.
        lifeline, self._held = os.pipe()
        fds = (listener.fileno(), theirs, lifeline, slot.board)
        numbers = (*fds, slot.workers, slot.number)
        command = [sys.executable, "-m", "app.worker", *map(str, numbers), *(["--reload"] if reloads else [])]
        # In a group of its own: Ctrl-C reaches the parent only, which passes it on.
        self.process = subprocess.Popen(command, env={**os.environ, **settings}, pass_fds=fds, process_group=0)  # noqa: S603 - this program
        os.close(theirs)
        os.close(lifeline)
        self.ready = False
        self.said = b""
        self.kill_at = float("inf")
        self.is_replaced = False

    def read(self) -> bool:
        """Read from the status pipe. Return False at its end: the worker has ended."""
        data = os.read(self.status, 65_536)
        self.said += data
        self.ready = self.ready or self.said.startswith(READY)
        return bool(data)

    def stop(self, within: float) -> None:
        """Ask it to end, and have it killed after so many seconds."""
        self.kill_at = time.monotonic() + within
        self.process.terminate()

    def close(self) -> None:
        """Wait for the end of the process."""
        self.process.wait()
        os.close(self.status)
        os.close(self._held)


class Supervisor:
    """Keeps the workers running."""

    def __init__(self, listener: socket.socket, settings: Settings, count: int, *, reloads: bool) -> None:
        self._listener = listener
        self._settings = settings
        self._count = count
        self._reloads = reloads
        self._board = create_board(count)
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, Worker] = {}
        self._due: dict[int, float] = {}
        self._pause = FIRST_PAUSE
        self._signals = 0
        self._announced = False
        self._failure: str | None = None
        self._outdated: list[int] = []

    def run(self) -> None:
        """Run until a signal, or until a worker cannot start at first."""
        # Connections wait in the socket's queue until the first worker accepts them.
        self._listener.listen(2048)
        with self._signals_wake():
            for number in range(self._count):
                self._start(number)
            while self._workers or (self._due and not self._stops()):
                self._step()
        os.close(self._board)
        if self._failure is not None:
            raise ServiceError(self._failure)

    def _stops(self) -> bool:
        return self._signals > 0 or self._failure is not None

    def _step(self) -> None:
        for key, _ in self._selector.select(self._timeout()):
            if isinstance(key.data, int) and not self._workers[key.data].read():
                self._ended(key.data)
            elif key.data is None:
                self._heed(os.read(key.fd, 64))
        self._announce()
        self._replace_next()
        now = time.monotonic()
        for worker in self._workers.values():
            if now >= worker.kill_at:
                worker.kill_at = float("inf")
                worker.process.kill()
        for number in [number for number, due in self._due.items() if now >= due and not self._stops()]:
            del self._due[number]
            self._start(number)

    def _timeout(self) -> float | None:
        first = min([*self._due.values(), *(worker.kill_at for worker in self._workers.values())], default=float("inf"))
        return max(0.0, first - time.monotonic()) if first < float("inf") else None

    def _start(self, number: int) -> None:
        settings = {**of_embedded(self._settings), **share(self._settings, self._count, number)}
        slot = Slot(self._board, self._count, number)
        worker = self._workers[number] = Worker(self._listener, slot, settings, reloads=self._reloads)
        self._selector.register(worker.status, selectors.EVENT_READ, number)

    def _ended(self, number: int) -> None:
        worker = self._workers.pop(number)
        self._selector.unregister(worker.status)
        worker.close()
        if self._stops():
            return
        if worker.is_replaced:
            self._due[number] = time.monotonic()
            return
        reason = worker.said.removeprefix(READY).decode(errors="replace").strip() or describe(worker.process.returncode)
        if not self._announced:
            self._failure = reason
            self._stop()
            return
        self._pause = FIRST_PAUSE if worker.ready else min(2 * self._pause, LONGEST_PAUSE)
        logger.error("worker %d ended: %s; a new one starts in %g s", worker.process.pid, reason, self._pause)
        self._due[number] = time.monotonic() + self._pause

    def _all_serve(self) -> bool:
        return len(self._workers) == self._count and all(worker.ready for worker in self._workers.values())

    def _replace_next(self) -> None:
        """Stop the next worker that is to be replaced, once all serve. Two at once would share a place on the board."""
        if self._outdated and self._all_serve() and not self._stops():
            worker = self._workers[self._outdated.pop(0)]
            if not worker.is_replaced:
                worker.is_replaced = True
                logger.info("worker %d is replaced, and %d are left to be", worker.process.pid, len(self._outdated))
                worker.stop(self._settings.shutdown_timeout + GRACE)

    def _announce(self) -> None:
        if not self._announced and self._all_serve():
            self._announced = True
            print(listening_line(self._listener, self._settings.environment_name, self._count), flush=True)

    def _heed(self, numbers: bytes) -> None:
        for number in numbers:
            if number in STOPPING:
                self._signals += 1
                self._stop()
            elif number == REPLACING:
                self._outdated = list(range(self._count))

    def _stop(self) -> None:
        for worker in self._workers.values():
            worker.stop(self._settings.shutdown_timeout + GRACE)

    @contextmanager
    def _signals_wake(self) -> Generator[None]:
        """Make the signals that stop the service or replace its workers readable, each as a byte."""
        theirs, ours = socket.socketpair()
        ours.setblocking(False)
        self._selector.register(theirs, selectors.EVENT_READ)
        # One that was ignored, as by nohup, stays so.
        heeded = (*STOPPING, REPLACING)
        before = {each: signal.getsignal(each) for each in heeded if signal.getsignal(each) is not signal.SIG_IGN}
        wakeup = signal.set_wakeup_fd(ours.fileno())
        for each in before:
            signal.signal(each, _noted)
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
            signal.set_wakeup_fd(wakeup)
            theirs.close()
            ours.close()


def of_embedded(settings: Settings) -> dict[str, str]:
    """Return the settings that the embedded server adds to those of the environment."""
    given = {"DATABASE_URL": settings.database_url, "SECRET_KEY": settings.secret_key}
    added = {name: secret.get_secret_value() for name, secret in given.items() if secret is not None}
    return {**added, "ENVIRONMENT": settings.environment_name}


def describe(code: int) -> str:
    """Return what an exit code means."""
    return f"it was ended by {signal.Signals(-code).name}" if code < 0 else f"its exit code was {code}"


def _noted(_: int, __: FrameType | None) -> None:
    """Let the wake-up socket have the signal."""
