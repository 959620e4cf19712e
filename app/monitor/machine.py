"""The processes of a PostgreSQL server on the same machine, and the machine. Nothing here raises."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import TypeVar

import psutil

T = TypeVar("T")
# The server notes its start some time after its process has begun; a wrong process is off by more.
_START_TOLERANCE = 60.0


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """All processes of a PostgreSQL server on this machine.

    `cpu_seconds` includes those that have ended. `memory_bytes` counts shared memory once if `memory_is_exact`, else
    not at all; it is None where the system does not tell.
    """

    processes: int
    cpu_seconds: float | None
    memory_bytes: int | None
    memory_is_exact: bool


@dataclass(frozen=True, slots=True)
class MachineFigures:
    """The machine. `load` is the average of 1, 5 and 15 minutes; each is None where the system does not tell."""

    cpus: int | None
    load: tuple[float, float, float] | None
    memory_total: int | None
    memory_available: int | None


def machine_figures() -> MachineFigures:
    """Return the figures of the machine."""
    memory = _told(psutil.virtual_memory)
    return MachineFigures(
        _told(psutil.cpu_count), _told(os.getloadavg), memory and memory.total, memory and memory.available
    )


def server_figures(backend_pid: int, server_address: str | None, server_started: datetime) -> ServerFigures | None:
    """Return the figures of the server that has this backend. None if its processes are not on this machine.

    The arguments are those of `monitor.get_backend`; `server_address` is None for a Unix socket.
    """
    postmaster = _told(lambda: _postmaster(backend_pid, server_started)) if _is_local(server_address) else None
    children = postmaster and _told(postmaster.children)
    if postmaster is None or children is None:
        return None
    processes = [postmaster, *children]
    memory, is_exact = _memory(processes)
    return ServerFigures(len(processes), _cpu_seconds(postmaster, children), memory, is_exact)


def _told(ask: Callable[[], T]) -> T | None:
    """Return the answer; None when the process is gone or hidden, or the system has no such figure."""
    try:
        return ask()
    except (psutil.Error, OSError, NotImplementedError, AttributeError, ValueError, RuntimeError):
        return None


def _is_local(address: str | None) -> bool:
    return address is None or bool(_told(lambda: ip_address(address).is_loopback))


def _postmaster(backend_pid: int, started: datetime) -> psutil.Process | None:
    """Return the parent of the backend. A port may be forwarded, so the process must be that of this very server."""
    parent = psutil.Process(backend_pid).parent()
    if parent is None or not parent.name().startswith(("postgres", "postmaster")):
        return None
    return parent if abs(parent.create_time() - started.timestamp()) < _START_TOLERANCE else None


def _cpu_seconds(postmaster: psutil.Process, children: list[psutil.Process]) -> float | None:
    """Add up the living and those that the postmaster has buried: the sum never shrinks when a backend ends."""
    own = _told(postmaster.cpu_times)
    if own is None:
        return None
    ended = getattr(own, "children_user", 0.0) + getattr(own, "children_system", 0.0)
    living = [times for child in children if (times := _told(child.cpu_times)) is not None]
    return own.user + own.system + ended + sum(times.user + times.system for times in living)


def _memory(processes: list[psutil.Process]) -> tuple[int | None, bool]:
    """Return the sum of the proportional shares, or of what is private where the system hides those; and which."""
    shares = [_told(lambda process=process: process.memory_full_info().pss) for process in processes]
    if shares[0] is not None:
        return sum(share or 0 for share in shares), True
    private = [_told(lambda process=process: _private(process)) for process in processes]
    return (None if private[0] is None else sum(part or 0 for part in private)), False


def _private(process: psutil.Process) -> int:
    memory = process.memory_info()
    return max(0, memory.rss - memory.shared)
