"""Somebody who asks all the time whether the service is ready, as a load balancer does."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from time import monotonic

import httpx2

from tests.faults.ledger import Ledger

# Seconds between two questions.
_PAUSE = 0.02


class Readiness:
    """Asks GET /health/ready of the service at `address`, and notes in the ledger what is not true.

    `answered` is when the last question was put that was answered 200.
    """

    def __init__(self, address: str, ledger: Ledger, deadline: float) -> None:
        self.answered = 0.0
        self._ledger = ledger
        self._client = httpx2.AsyncClient(base_url=address, timeout=deadline)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Ask during the block."""
        async with self._client, asyncio.TaskGroup() as group:
            asking = group.create_task(self._ask())
            try:
                yield
            finally:
                asking.cancel()

    async def until_ready(self, patience: float) -> None:
        """Wait until a question from now on was answered 200."""
        began = monotonic()
        while self.answered < began:
            if monotonic() - began > patience:
                self._ledger.wrong.append(f"writes were stored, and /health/ready was not 200 within {patience:g} s")
                return
            await asyncio.sleep(_PAUSE)

    async def _ask(self) -> None:
        for number in count(1):
            began, outage = monotonic(), self._ledger.outage
            status = await self._status()
            if status == 200:
                self.answered = began
                if outage and outage is self._ledger.outage:
                    self._ledger.wrong.append(f"/health/ready was 200 while no server took writes (question {number})")
            elif status not in {None, 503}:
                self._ledger.wrong.append(f"/health/ready was answered {status}")
            await asyncio.sleep(_PAUSE)

    async def _status(self) -> int | None:
        """Return None if the connection broke, as it may when the process at its end is replaced."""
        try:
            return (await self._client.get("/health/ready")).status_code
        except httpx2.TimeoutException:
            self._ledger.hung += 1
        except httpx2.TransportError:
            pass
        return None
