"""Many clients on one event loop, for overload: each waits as Retry-After says before it asks again.

    python -m benchmarks.clients PORT PATH --clients 2000 --seconds 60

Prints one JSON object. It runs as a process of its own, so that its processor time can be told from the service's.
"""

import asyncio
import json
import random
import resource
from collections import Counter
from statistics import quantiles
from time import monotonic
from typing import cast

import click
import uvloop


class Client(asyncio.Protocol):
    """One connection. It asks, and asks again: at once after an answer, after the pause it is told when refused."""

    def __init__(self, load: "Load", *, once: bool = False) -> None:
        self._load = load
        self._once = once
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast("asyncio.Transport", transport)
        self.ask()

    def ask(self) -> None:
        """Send the request, unless the time is over."""
        if self._transport is not None and monotonic() < self._load.ends:
            self._sent_at = monotonic()
            self._load.waiting[self] = self._sent_at
            self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        """Count the answer once it is whole."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(self._buffer) < end + 4 + length:
            return
        self._buffer = b""
        self._answered(int(head[9:12]), int(head.partition(b"retry-after: ")[2].partition(b"\r\n")[0] or 0))

    def connection_lost(self, exc: Exception | None) -> None:
        """Count an answer that never came, and connect again."""
        self._transport = None
        if self._load.waiting.pop(self, None) is not None:
            self._load.statuses[0] += 1
        if not self._once and monotonic() < self._load.ends:
            asyncio.get_running_loop().call_later(1.0, self._load.connect)

    def _answered(self, status: int, retry_after: int) -> None:
        now, load = monotonic(), self._load
        load.waiting.pop(self, None)
        load.statuses[status] += 1
        if status == 200:
            load.seconds.append(now - self._sent_at)
            load.by_second[int(now - load.began)] += 1
        if self._once:
            load.idle.append(self)
        elif status == 200:
            self.ask()
        else:
            pause = max(retry_after, 1) * random.uniform(1, 1.5)
            asyncio.get_running_loop().call_later(pause, self.ask)


class Load:
    """What all clients share: the request, when they end, and what they counted."""

    def __init__(self, port: int, path: str, seconds: float) -> None:
        self.port = port
        self.request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        self.began = monotonic()
        self.ends = self.began + seconds
        self.statuses: Counter[int] = Counter()
        self.by_second: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.waiting: dict[Client, float] = {}
        self.idle: list[Client] = []
        self._tasks: set[asyncio.Task[object]] = set()

    def connect(self, *, once: bool = False) -> None:
        """Open one connection."""
        connecting = asyncio.get_running_loop().create_connection(
            lambda: Client(self, once=once), "127.0.0.1", self.port
        )
        task: asyncio.Task[object] = asyncio.ensure_future(connecting)
        self._tasks.add(task)
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.statuses[-1] += 1

    async def closed(self, clients: int) -> None:
        """Run so many clients, each of which waits for its answer."""
        for _ in range(clients):
            self.connect()
            await asyncio.sleep(0.0005)
        await asyncio.sleep(self.ends - monotonic())

    async def open(self, rate: float) -> None:
        """Send so many requests a second, whether or not earlier ones were answered, and none a second time."""
        due = monotonic()
        while due < self.ends:
            await asyncio.sleep(max(0.0, due - monotonic()))
            if self.idle:
                self.idle.pop().ask()
            else:
                self.connect(once=True)
            due += random.expovariate(rate)

    def report(self) -> dict[str, object]:
        """Return what was counted, times in seconds."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        cuts = quantiles(self.seconds, n=100) if len(self.seconds) > 1 else [0.0] * 99
        # Answers that come in the half second after the end were asked for before it.
        elapsed = self.ends - self.began
        return {
            "goodput": self.statuses[200] / elapsed,
            "statuses": dict(self.statuses),
            "p50": cuts[49], "p99": cuts[98], "longest": max(self.seconds, default=0.0),
            "unanswered": len(self.waiting),
            "processor": (usage.ru_utime + usage.ru_stime) / elapsed,
            "by_second": [self.by_second[second] for second in range(int(elapsed))],
        }  # fmt: skip


@click.command(help=__doc__)
@click.argument("port", type=int)
@click.argument("path")
@click.option("--clients", default=2000, show_default=True)
@click.option("--rate", default=0.0, help="Requests a second whatever is answered, instead of clients that wait.")
@click.option("--seconds", default=10.0, show_default=True)
def main(port: int, path: str, clients: int, rate: float, seconds: float) -> None:
    """Run the load and print what it met."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20_000)), hard))

    async def run() -> dict[str, object]:
        load = Load(port, path, seconds)
        await (load.open(rate) if rate else load.closed(clients))
        await asyncio.sleep(0.5)
        return load.report()

    click.echo(json.dumps(uvloop.run(run())))


if __name__ == "__main__":
    main()
