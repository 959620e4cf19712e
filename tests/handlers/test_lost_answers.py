"""Each article is published once, although lines break at every byte between client, service and database.

LOST_ANSWERS is the number of articles, LOST_ANSWERS_SEED the seed of what breaks besides the sweep over all bytes.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest

from app.db import Database
from tests.handlers.people import Person, register
from tests.network import Network
from tests.test_workers import workers

ARTICLES = int(os.environ.get("LOST_ANSWERS", "80"))
SEED = int(os.environ.get("LOST_ANSWERS_SEED", "1"))
AT_ONCE = 8
PATIENCE = 300.0  # seconds for one article


class Answer(NamedTuple):
    """What a client has received as a whole."""

    status: int
    is_repeated: bool
    text: str


class BreakingNetwork(Network):
    """The way to the database: some answers are lost with every connection that is open then, most of them COMMIT's."""

    random: random.Random | None = None
    lost_commits = 0

    async def _gate(self) -> None:
        if self.random is None or not self.statements:
            return
        is_commit = self.statements[-1] == "commit"
        if self.random.random() < (0.1 if is_commit else 0.005):
            self.lost_commits += is_commit
            self.drop()


@dataclass
class Client:
    """Publishes articles on connections that break, and repeats each request until its answer is there."""

    address: str
    person: Person
    random: random.Random
    seen: Counter[str] = field(default_factory=Counter[str])

    async def publish(self, number: int) -> Answer:
        """Publish one article; the first line breaks at the byte that its number says, others anywhere or nowhere."""
        request = self._request(number)
        whole = len(request) + 900
        breaks = number * whole // ARTICLES
        async with asyncio.timeout(PATIENCE):
            while (answer := await self._attempt(request, breaks)) is None or answer.status >= 400:
                if answer is not None:
                    self._note(answer)
                    await asyncio.sleep(self.random.uniform(0, 0.02))
                breaks = self.random.randrange(whole) if self.random.random() < 0.3 else None
        self.seen["repeated"] += answer.is_repeated
        return answer

    def _note(self, answer: Answer) -> None:
        assert answer.status in {409, 503, 504}, answer
        self.seen["unknown" if "may be stored or not" in answer.text else str(answer.status)] += 1

    def _request(self, number: int) -> bytes:
        body = json.dumps({"article": {"title": f"Article {number}", "description": "d", "body": "b" * 100}}).encode()
        head = (
            "POST /api/articles HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: Token {self.person.token}\r\n"
            f'Idempotency-Key: "key-{number}"\r\nContent-Length: {len(body)}\r\n\r\n'
        )
        return head.encode() + body

    async def _attempt(self, request: bytes, breaks: int | None) -> Answer | None:
        """The answer; None when the connection broke, which the client's end does after that many bytes both ways."""
        url = urlsplit(self.address)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        try:
            writer.write(request[:breaks])
            await writer.drain()
            if breaks is None:
                return _answer(await _message(reader))
            if breaks > len(request):
                await reader.readexactly(breaks - len(request))
        except (ConnectionError, asyncio.IncompleteReadError):
            # The service closed the line, or its answer is shorter.
            return None
        finally:
            writer.transport.abort()
        return None


async def _message(reader: asyncio.StreamReader) -> tuple[str, str]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    return head, (await reader.readexactly(length)).decode()


def _answer(message: tuple[str, str]) -> Answer:
    head, text = message
    return Answer(int(head.split()[1]), "idempotent-replayed: true" in head, text)


@pytest.fixture
async def network(database_url: str) -> AsyncIterator[BreakingNetwork]:
    async with BreakingNetwork(database_url) as network:
        yield network


@pytest.fixture
async def address(network: BreakingNetwork) -> AsyncIterator[str]:
    """The service in two processes, behind the network to its database."""

    def serve() -> Iterator[str]:
        with workers(network.dsn, db_pool_timeout="10") as (_, address):
            yield address

    service = serve()
    # In a thread: the network that the service needs to start runs on this loop.
    yield await asyncio.to_thread(next, service)
    await asyncio.to_thread(next, service, None)


async def _publish_all(client: Client) -> dict[int, Answer]:
    todo = iter(range(ARTICLES))
    answers: dict[int, Answer] = {}

    async def one_after_another() -> None:
        for number in todo:
            answers[number] = await client.publish(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_another())
    return answers


@pytest.mark.parametrize("database_breaks", [False, True], ids=["clients' lines", "and the database's"])
async def test_each_article_exists_once_wherever_a_line_breaks(
    address: str, network: BreakingNetwork, db: Database, database_breaks: bool
) -> None:
    async with httpx2.AsyncClient(base_url=address) as web:
        ann = await register(web, "ann")
    client = Client(address, ann, random.Random(SEED))
    network.random = random.Random(SEED) if database_breaks else None

    answers = await _publish_all(client)

    network.random = None
    stored = {row["title"]: row["slug"] for row in await db.fetch("select title, slug from articles")}
    assert await db.fetchval("select count(*) from articles") == len(stored) == ARTICLES
    told = {number: json.loads(answer.text)["article"]["slug"] for number, answer in answers.items()}
    assert told == {number: stored[f"Article {number}"] for number in range(ARTICLES)}
    assert client.seen["repeated"] > 0, client.seen
    assert not database_breaks or (network.lost_commits > 0 and client.seen["unknown"] > 0), client.seen
