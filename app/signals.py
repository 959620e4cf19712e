"""Ends a process by an exception when it is signalled, so that `with` blocks can stop what they started."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


def exit_on_signals() -> None:
    """Let SIGTERM and SIGHUP raise SystemExit, as Ctrl-C raises KeyboardInterrupt, so that `with` blocks end.

    Signals that are ignored or handled already are left alone. Does nothing outside the main thread.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextmanager
def signals_held(*, raised_after: bool) -> Generator[None]:
    """In the main thread, keep Ctrl-C, SIGTERM and SIGHUP from interrupting the block.

    `raised_after`: the first that came is raised again at the end; else they are forgotten, like an impatient second
    Ctrl-C after the first has begun the stopping.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.signal(number, lambda n, _: held.append(n)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if held and raised_after:
        signal.raise_signal(held[0])
