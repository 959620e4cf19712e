"""The event loop, thread and process of a pool. Its sessions work nowhere else."""

import asyncio
import os
from threading import get_ident
from weakref import WeakSet

from app.db.errors import WrongEventLoop

_NOWHERE = 0


class Affinity:
    """The event loop, thread and process in which this object is created.

    The hot path compares by itself: `current_task(affinity.loop) is None or get_ident() != affinity.thread`.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread = get_ident()
        self.process = os.getpid()
        _affinities.add(self)

    def refuse_others(self) -> None:
        """Raise WrongEventLoop in another event loop, thread or process."""
        if asyncio.current_task(self.loop) is None or get_ident() != self.thread:
            raise self.refusal()

    def is_of_another_process(self) -> bool:
        """Return whether this process was forked from the one in which the pool was opened."""
        return self.thread == _NOWHERE

    def refusal(self) -> WrongEventLoop:
        """Return the error that says where the pool was opened and what to do."""
        if self.is_of_another_process():
            return WrongEventLoop(
                f"this Database was opened in process {self.process}, from which this one was forked, and its"
                " connections are that one's: call connect() here, or open a Database of its own in each process"
            )
        where = "a closed event loop" if self.loop.is_closed() else "another event loop"
        return WrongEventLoop(
            f"this Database was opened in {where}, and its connections answer only there:"
            " open one in each loop, `async with Database(...)` inside the coroutine given to asyncio.run()"
        )


_affinities: WeakSet[Affinity] = WeakSet()


def _forked() -> None:
    for affinity in _affinities:
        affinity.thread = _NOWHERE


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
