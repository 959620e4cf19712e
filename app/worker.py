"""One of several processes that serve the same socket; app/workers.py starts it: python -m app.worker SOCKET STATUS PARENT.

The arguments are file descriptors: the bound socket, a pipe that is told how the start went, and one that closes when
the parent ends.
"""  # noqa: E501 - the command

import os
import signal
import socket
import sys
import threading
from contextlib import suppress

from app.db import BinderyError
from app.logs import configure_logs
from app.repositories import watch_sql
from app.serve import ServiceError, run
from app.settings import SettingsError, load_settings
from app.workers import READY


def main(listener: int, status: int, parent: int, *, reloads: bool) -> int:
    """Serve until SIGTERM. Return the exit code."""
    end_with(parent)

    def tell(what: bytes) -> None:
        with suppress(BrokenPipeError):
            os.write(status, what)

    try:
        if reloads:
            watch_sql()
        settings = load_settings()
        configure_logs(settings.log_level, settings.log_format)
        from app.main import create_app  # noqa: PLC0415 - reads sql/: a mistake there is told like any other

        run(create_app(settings), socket.socket(fileno=listener), settings, on_start=lambda: tell(READY))
    except (BinderyError, ServiceError, SettingsError) as error:
        tell(str(error).encode())
        return 1
    return 0


def end_with(parent: int) -> None:
    """End this process by SIGTERM when the other end of this pipe closes."""

    def wait() -> None:
        os.read(parent, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


if __name__ == "__main__":
    descriptors = [int(number) for number in sys.argv[1:4]]
    sys.exit(main(*descriptors, reloads="--reload" in sys.argv))
