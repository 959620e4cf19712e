"""One of several processes that serve the same socket; app/workers.py starts it: python -m app.worker SOCKET STATUS PARENT BOARD.

The arguments are file descriptors: the bound socket, a pipe that is told how the start went, one that closes when the
parent ends, and the file of the board. The number of workers and that of this one, from 0, follow.
"""  # noqa: E501 - the command

import os
import signal
import socket
import sys
import threading
from contextlib import suppress

from app.board import Board
from app.db import BinderyError
from app.logs import configure_logs
from app.repositories import watch_sql
from app.serve import ServiceError, run
from app.settings import SettingsError, load_settings
from app.workers import READY


def main(listener: int, status: int, parent: int, board: Board, *, reloads: bool) -> int:
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

        app = create_app(settings, board)
        serving = socket.socket(fileno=listener)
        stop, admission = app.state.telemetry.stop, app.state.admission
        run(app, serving, settings, lambda: tell(READY), stop, admission=admission)
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
    listener, status, parent, *slot = [int(argument) for argument in sys.argv[1:7]]
    sys.exit(main(listener, status, parent, Board(*slot), reloads="--reload" in sys.argv))
