"""A process that is asked to end does so by an exception, and what must be stopped is stopped."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


def exit_on_signals() -> None:
    """From now on SIGTERM and SIGHUP raise SystemExit, as Ctrl-C raises KeyboardInterrupt, so that `with` blocks end.

    Signals that are ignored or handled already are left alone, and so is everything outside the main thread.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextmanager
def signals_ignored() -> Generator[None]:
    """In the main thread, ignore Ctrl-C, SIGTERM and SIGHUP: an impatient second Ctrl-C must not interrupt
    the stopping that the first one began.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
