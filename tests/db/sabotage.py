"""A fault or a cancellation at a chosen step: a call into the event loop or the driver, or something awaited."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any, Literal

import asyncpg
import pytest
import uvloop

import app.db
from app.db.pool.background import BackgroundTasks
from app.db.session.prepared import Prepared

Kind = Literal["before", "after", "cancelled", "cancelled late", "cancelled in the background"]
KINDS: tuple[Kind, ...] = ("before", "after", "cancelled", "cancelled late", "cancelled in the background")
LAYER = str(Path(app.db.__file__).parent)
DRIVER = (
    "add_termination_listener", "close", "copy_records_to_table", "execute", "fetch", "prepare", "reset",
    "terminate",
)  # fmt: skip


class Sabotage(Exception):
    """The fault that was made."""


class Saboteur:
    """Makes one fault of this kind, at this step; `steps` counts those that there were, `done` says that it was made.

    Before it is armed, and once it is disarmed, it counts nothing.
    """

    def __init__(self, kind: Kind, at: int) -> None:
        self.kind = kind
        self.at = at
        self.steps = 0
        self.armed = False
        self.done = False

    def reached(self, kind: Kind) -> bool:
        """Whether this step is the one."""
        if not self.armed or kind != self.kind:
            return False
        self.steps += 1
        self.done = self.done or self.steps == self.at
        return self.steps == self.at

    def step(self, kind: Kind) -> None:
        """Count one step; Sabotage if this is the one."""
        if self.reached(kind):
            raise Sabotage(f"{kind} step {self.at}")

    def wrap(self, function: Callable[..., Any], *kinds: Kind) -> Callable[..., Any]:
        """The function with a fault before it is called, or after it was, where the layer calls it."""

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if not _called_by_layer():
                return function(*args, **kwargs)
            if "before" in kinds:
                self.step("before")
            result = function(*args, **kwargs)
            if inspect.isawaitable(result) and not asyncio.isfuture(result):
                return self._awaited(result) if "after" in kinds else result
            if "after" in kinds:
                self.step("after")
            return result

        return wrapped

    async def _awaited(self, result: Any) -> Any:
        answer = await result
        self.step("after")
        return answer

    def interrupted(self, work: Coroutine[Any, Any, Any], *kinds: Kind) -> Interrupted:
        """The coroutine, cancelled at one of its awaits."""
        return Interrupted(self, work, kinds)

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Come between the layer and the driver, and into the layer's own tasks."""
        for name in DRIVER:
            kinds: tuple[Kind, ...] = ("after",) if name == "terminate" else ("before", "after")
            monkeypatch.setattr(asyncpg.Connection, name, self.wrap(getattr(asyncpg.Connection, name), *kinds))
        monkeypatch.setattr(Prepared, "execute", self.wrap(Prepared.execute, "before", "after"))
        start = BackgroundTasks.start

        def interrupted(tasks: BackgroundTasks, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            outer = _run(self.interrupted(work, "cancelled in the background"))
            task: asyncio.Task[None] | None = None
            try:
                task = start(tasks, outer)
                return task
            finally:
                if task is None:
                    work.close()

        monkeypatch.setattr(BackgroundTasks, "start", interrupted)

    def loop(self, kind: type[asyncio.AbstractEventLoop]) -> asyncio.AbstractEventLoop:
        """An event loop of this class whose calls by the layer can fail."""
        wrap = self.wrap
        names: dict[str, Callable[..., Any]] = {
            name: wrap(getattr(kind, name), "before", "after") for name in ("call_at", "call_later", "create_future")
        }
        return type("FaultyLoop", (kind,), {**names, "create_task": wrap(kind.create_task, "before")})()


LOOPS: dict[str, type[asyncio.AbstractEventLoop]] = {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.Loop}


class Interrupted:
    """Awaits a coroutine, and has its task cancelled at one of the steps at which it waits for something."""

    def __init__(self, saboteur: Saboteur, work: Coroutine[Any, Any, Any], kinds: tuple[Kind, ...]) -> None:
        self._saboteur = saboteur
        self._work = work
        self._kinds = kinds

    def __await__(self) -> Generator[Any, Any, Any]:
        steps, task = self._work.__await__(), asyncio.current_task()
        assert task
        resume: Callable[[], Any] = functools.partial(next, steps)
        while True:
            try:
                awaited = resume()
            except StopIteration as end:
                return end.value
            self._sabotage(task, awaited)
            try:
                yield awaited
            except BaseException as error:
                resume = functools.partial(steps.throw, error)
            else:
                resume = functools.partial(next, steps)

    def _sabotage(self, task: asyncio.Task[Any], awaited: Any) -> None:
        late = "cancelled late" in self._kinds and self._saboteur.reached("cancelled late")
        if late and awaited is not None:
            # The answer is there already, but the task has not seen it.
            def cancel(_: object) -> None:
                task.cancel()

            awaited.add_done_callback(cancel)
        for kind in self._kinds:
            if kind != "cancelled late" and self._saboteur.reached(kind):
                task.cancel()


async def _run(work: Interrupted) -> Any:
    return await work


def _called_by_layer() -> bool:
    """Whether the nearest caller outside this module and asyncio is the layer."""
    frame = sys._getframe(2)  # pyright: ignore[reportPrivateUsage] - documented, but without a public name
    while frame and ("asyncio" in frame.f_code.co_filename or frame.f_code.co_filename == __file__):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename.startswith(LAYER)
