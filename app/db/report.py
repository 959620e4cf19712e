"""What the pool was doing, in words: the second half of every time-out's message."""

import sys
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from app.db.server_connection import ServerConnection

if TYPE_CHECKING:
    from app.db.lease import Lease

_LAYER = str(Path(__file__).parent)
_SHOWN_STATEMENT = 60


def describe_pool(lease: "Lease", problem: str) -> str:
    """The problem, the pool's numbers, a line for each connection in use, and the last error of connecting."""
    lent = lease.connections.difference(lease.idle)
    now = monotonic()
    lines = [
        f"{problem}: {len(lease.connections)} of at most {lease.options.max_size} connections are open,"
        f" {len(lent)} in use, {len(lease.idle)} idle; {len(lease.queue.waiters)} waiting",
        *(_describe(server, now) for server in sorted(lent, key=lambda server: server.lent_at)),
    ]
    if lease.openings.last_error is not None:
        lines.append(f"the last attempt to connect failed: {lease.openings.last_error}")
    return "\n  ".join(lines)


def place_of_caller() -> tuple[str, int]:
    """File and line of the call that led here: the nearest frame outside this layer."""
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage] - documented, but without a public name
    while frame.f_code.co_filename.startswith(_LAYER) and frame.f_back:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _describe(server: ServerConnection, now: float) -> str:
    if server.holder is None:
        return f"one is being opened, reset or tested, for {now - server.lent_at:.1f} s"
    parts = [f"task {server.holder.get_name()!r} for {now - server.lent_at:.1f} s"]
    if not server.is_closed() and server.is_in_transaction():
        parts.append("in a transaction")
    if server.running is not None:
        parts.append(f"last ran {_shortened(server.running)}")
    if server.acquired_at is not None:
        file, line = server.acquired_at
        parts.append(f"acquired at {_relative(file)}:{line}")
    return ", ".join(parts)


def _shortened(statement: str) -> str:
    text = " ".join(statement.split())
    return text if len(text) <= _SHOWN_STATEMENT else text[: _SHOWN_STATEMENT - 1] + "…"


def _relative(file: str) -> str:
    path = Path(file)
    try:
        here = Path.cwd()
    except OSError:
        # The current directory was deleted.
        return file
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
