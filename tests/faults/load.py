"""Clients that read and write all the time, and note in a ledger what they were told."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from time import monotonic

import httpx2

from tests.faults.ledger import Ledger

CLIENTS = 8
# Every request has to be answered by then, whatever happens, in seconds: see SETTINGS of tests/faults/service.py.
DEADLINE = 10.0
_NUMBERS = count(1)


class Load:
    """`CLIENTS` clients of the service at `address`; `last_stored` is when an article was last acknowledged."""

    def __init__(self, address: str, ledger: Ledger, chance: random.Random) -> None:
        self.ledger = ledger
        self.last_stored = 0.0
        self._chance = chance
        self._stopping = False
        limits = httpx2.Limits(max_connections=CLIENTS)
        self._client = httpx2.AsyncClient(base_url=address, timeout=DEADLINE, limits=limits)
        self._headers: dict[str, str] = {}

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Make requests during the block."""
        async with self._client:
            await self._register()
            tasks = [asyncio.create_task(self._ask()) for _ in range(CLIENTS)]
            try:
                yield
            finally:
                self._stopping = True
                await asyncio.gather(*tasks)

    async def until_stored(self, since: float) -> None:
        """Wait until an article that was posted after the moment `since` is stored. Note how long it took from now."""
        began = monotonic()
        while self.last_stored < since:
            if monotonic() - began > 30:
                self.ledger.wrong.append("nothing was stored within 30 s after the fault was over")
                break
            await asyncio.sleep(0.005)
        self.ledger.recovered.append(monotonic() - began)

    async def _register(self) -> None:
        name = f"client{random.getrandbits(48):x}"
        user = {"username": name, "email": f"{name}@example.com", "password": "correct horse"}
        answer = await self._client.post("/api/users", json={"user": user})
        self._headers["Authorization"] = f"Token {answer.json()['user']['token']}"

    async def _ask(self) -> None:
        while not self._stopping:
            await (self._post() if self._chance.random() < 0.4 else self._read())
            await asyncio.sleep(self._chance.uniform(0, 0.02))

    async def _read(self) -> None:
        answer = await self._answer("GET", "/api/articles?limit=5")
        if answer is not None and answer.status_code not in {200, 503}:
            self.ledger.wrong.append(f"GET was answered {answer.status_code}: {answer.text[:200]}")

    async def _post(self) -> None:
        title, sent = f"Title {next(_NUMBERS)}", monotonic()
        article = {"article": {"title": title, "description": "d", "body": "b"}}
        answer = await self._answer("POST", "/api/articles", article)
        if answer is not None and answer.status_code == 201:
            self.ledger.acknowledged.add(title)
            self.last_stored = max(self.last_stored, sent)
        elif answer is not None and answer.status_code == 503 and "retry-after" in answer.headers:
            self.ledger.refused.add(title)
        elif answer is None or answer.status_code == 503:
            self.ledger.unknown.add(title)
        else:
            self.ledger.wrong.append(f"POST was answered {answer.status_code}: {answer.text[:200]}")

    async def _answer(self, method: str, path: str, json: object = None) -> httpx2.Response | None:
        """Return the answer; None if the connection broke, or there was none in time."""
        began, ledger = monotonic(), self.ledger
        try:
            answer = await self._client.request(method, path, json=json, headers=self._headers)
        except httpx2.TimeoutException:
            ledger.hung += 1
            ledger.statuses["none"] += 1
            return None
        except httpx2.TransportError as error:
            ledger.statuses[type(error).__name__] += 1
            return None
        ledger.statuses[str(answer.status_code)] += 1
        ledger.longest = max(ledger.longest, monotonic() - began)
        return answer
