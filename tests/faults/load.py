"""Clients that read and write all the time, and note in a ledger what they were told."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from time import monotonic

import httpx2

from tests.faults.ledger import Ledger
from tests.faults.readiness import Readiness

CLIENTS = 8
# Every request has to be answered by then, whatever happens, in seconds: see SETTINGS of tests/faults/service.py.
DEADLINE = 10.0
_NUMBERS = count(1)
_REQUESTS = (("GET", "/api/articles"), ("GET", "/api/tags"), ("GET", "/api/articles/export"), ("POST", "/api/articles"))
_TEXTS = {"description": "d", "body": "b"}
# Seconds after which a service does not recover any more.
PATIENCE = 30
# With a key a client goes on for this many times, a fifth of a second apart.
_ATTEMPTS = 40


class Load:
    """`CLIENTS` clients of the service at `address`; `last_stored` is when an article was last acknowledged."""

    def __init__(self, address: str, ledger: Ledger, chance: random.Random) -> None:
        self.ledger = ledger
        self.address = address
        self.last_stored = 0.0
        self._chance = chance
        self._stopping = False
        limits = httpx2.Limits(max_connections=CLIENTS)
        self._client = httpx2.AsyncClient(base_url=address, timeout=DEADLINE, limits=limits)
        self._headers: dict[str, str] = {}
        self._readiness = Readiness(address, ledger, DEADLINE)

    @property
    def token(self) -> str:
        """The `Authorization` of the clients."""
        return self._headers["Authorization"]

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Make requests during the block."""
        async with self._client:
            await self._register()
            tasks = [asyncio.create_task(self._ask()) for _ in range(CLIENTS)]
            try:
                async with self._readiness.running():
                    yield
            finally:
                self._stopping = True
                await asyncio.gather(*tasks)

    async def until_stored(self, since: float) -> None:
        """Wait until an article that was posted after the moment `since` is stored. Note how long it took from now.

        Then the service has to say that it is ready.
        """
        began = monotonic()
        while self.last_stored < since:
            if monotonic() - began > PATIENCE:
                self.ledger.wrong.append(f"nothing was stored within {PATIENCE} s after the fault was over")
                break
            await asyncio.sleep(0.005)
        self.ledger.recovered.append(monotonic() - began)
        await self._readiness.until_ready(PATIENCE)

    def any_request(self) -> bytes:
        """Return a request for a client that goes away. Those that write have a title that nobody waits for."""
        method, path = self._chance.choice(_REQUESTS)
        body = json.dumps({"article": {"title": f"Left {next(_NUMBERS)}", **_TEXTS}}) if method == "POST" else ""
        token = self._headers["Authorization"]
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        return (head + body).encode()

    async def _register(self) -> None:
        name = f"client{random.getrandbits(48):x}"
        user = {"username": name, "email": f"{name}@example.com", "password": "correct horse"}
        answer = await self._client.post("/api/users", json={"user": user})
        self._headers["Authorization"] = f"Token {answer.json()['user']['token']}"

    async def _ask(self) -> None:
        while not self._stopping:
            await (self.post() if self._chance.random() < 0.4 else self._read())
            await asyncio.sleep(self._chance.uniform(0, 0.02))

    async def _read(self) -> None:
        answer = await self._answer("GET", "/api/articles?limit=5")
        # 504: a statement was ended at its limit.
        if answer is not None and answer.status_code not in {200, 503, 504}:
            self.ledger.wrong.append(f"GET was answered {answer.status_code}: {answer.text[:200]}")

    async def post(self, *, length: int = 1) -> None:
        """Publish an article of this length. Every second one has a key and is repeated until the answer is known."""
        number, sent = next(_NUMBERS), monotonic()
        title = f"Title {number}"
        key = {"Idempotency-Key": f"{number}"} if number % 2 else {}
        for attempt in range(_ATTEMPTS if key else 1):
            await asyncio.sleep(min(attempt, 1) * 0.2)
            if self._told(title, await self._publish(title, key, length), sent):
                self.ledger.unknown.discard(title)
                return
            self.ledger.unknown.add(title)

    async def _publish(self, title: str, key: dict[str, str], length: int) -> httpx2.Response | None:
        article = {**_TEXTS, "title": title, "body": "b" * length}
        return await self._answer("POST", "/api/articles", {"article": article}, key)

    def _told(self, title: str, answer: httpx2.Response | None, sent: float) -> bool:
        """Note what the client was told. Return whether it knows now whether the article is stored."""
        ledger = self.ledger
        if answer is not None and answer.status_code == 201:
            ledger.acknowledged.add(title)
            self.last_stored = max(self.last_stored, sent)
            return True
        if answer is None or answer.status_code in {409, 503, 504}:
            has_key = answer is not None and "idempotency-key" in answer.request.headers
            if answer is None or has_key or "retry-after" not in answer.headers:
                return False
            ledger.refused.add(title)
            return True
        ledger.wrong.append(f"POST was answered {answer.status_code}: {answer.text[:200]}")
        return True

    async def _answer(
        self, method: str, path: str, json: object = None, headers: Mapping[str, str] | None = None
    ) -> httpx2.Response | None:
        """Return the answer; None if the connection broke, or there was none in time."""
        began, ledger = monotonic(), self.ledger
        try:
            answer = await self._client.request(method, path, json=json, headers={**self._headers, **(headers or {})})
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
