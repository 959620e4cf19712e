"""The export of all articles: lines of JSON or CSV, and a client who does not read is dropped."""

import asyncio
import csv
import io
import json
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.types import Message

from app.db import Database
from app.http.streaming import CHUNK_BYTES
from app.settings import Settings
from tests.documented import fields_at_fault, outcome
from tests.handlers.people import Person


@pytest.mark.usefixtures("article", "other_article")
async def test_an_export_has_every_article_on_a_line_of_json(ann: Person) -> None:
    await ann.writes("Lines", body="end\nat\x85other\u2028characters")

    answer = await ann.get("/api/articles/export")

    assert answer.headers["content-type"] == "application/x-ndjson"
    first, second, third = (json.loads(line) for line in answer.text.split("\n")[:-1])
    assert (first["slug"], first["tagList"], first["author"]) == (
        "how-to-train-your-dragon-1",
        ["dragons", "training"],
        "ann",
    )
    assert second["title"] == "Another dragon"
    assert third["body"] == "end\nat\x85other\u2028characters"


@pytest.mark.usefixtures("article", "other_article")
async def test_an_export_can_be_csv(ann: Person) -> None:
    await ann.writes('Quotes ", commas\nand lines', body="ä😀")

    answer = await ann.get("/api/articles/export?format=csv")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["tagList"] for row in rows] == ["dragons training", "coffee", ""]
    assert (rows[2]["title"], rows[2]["body"]) == ('Quotes ", commas\nand lines', "ä😀")


async def test_an_export_of_nothing_is_empty(ann: Person) -> None:
    assert (await ann.get("/api/articles/export")).text == ""
    assert len((await ann.get("/api/articles/export?format=csv")).text.splitlines()) == 1


@pytest.mark.parametrize("format_", ["xml", "", "NDJSON"])
async def test_other_formats_are_refused(ann: Person, format_: str) -> None:
    answer = await ann.get(f"/api/articles/export?format={format_}")

    assert outcome(answer) == (422, {"format": ["must be one of ndjson, csv"]})


async def test_strangers_export_nothing(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/api/articles/export")).status_code == 401


async def test_the_head_of_an_export_is_for_users_too(ann: Person, db: Database) -> None:
    assert (await ann.request("HEAD", "/api/articles/export")).status_code == 200
    await db.execute("delete from users")

    assert (await ann.request("HEAD", "/api/articles/export")).status_code == 401


async def open_export(app: Starlette, person: Person, receive: Any, send: Any) -> None:
    """An export, asked for by hand so that the test plays the client."""
    headers = [(b"authorization", f"Token {person.token}".encode())]
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "path": "/api/articles/export", "raw_path": b"/api/articles/export", "query_string": b"", "root_path": "",
        "scheme": "http", "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await app(scope, receive, send)


async def never() -> Message:
    """A client who stays."""
    await asyncio.Event().wait()
    raise AssertionError


async def connections_in_use(app: Starlette) -> int:
    """How many connections are lent once what goes on in the background is done."""
    async with asyncio.timeout(10):
        while app.state.database.statistics().in_use:
            await asyncio.sleep(0.005)
    return app.state.database.statistics().in_use


async def test_a_client_who_does_not_read_is_dropped(
    app: Starlette, ann: Person, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    app.state.exports.read_timeout = 0.05
    await many_articles(db)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async with asyncio.timeout(10):
        await open_export(app, ann, never, send)

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[1]["more_body"]
    assert "its client took more than 0.05 seconds for a part" in caplog.text
    assert await connections_in_use(app) == 0


async def test_the_time_for_a_part_is_for_64_kib_however_long_an_article_is(
    app: Starlette, ann: Person, db: Database
) -> None:
    await db.execute(
        "insert into articles (author_id, slug_words, title, description, body)"
        " select id, 'a', 'A', 'About', repeat('€', 100000) from users"
    )
    sizes: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            sizes.append(len(message["body"]))

    await open_export(app, ann, never, send)

    assert sum(sizes) > 300_000
    assert max(sizes) == CHUNK_BYTES


async def test_an_export_ends_with_its_client(app: Starlette, ann: Person, db: Database) -> None:
    await many_articles(db)
    gone = asyncio.Event()
    bodies: list[Message] = []

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            bodies.append(message)
            gone.set()
        await asyncio.sleep(0)

    async with asyncio.timeout(10):
        await open_export(app, ann, receive, send)

    assert bodies[-1]["more_body"]
    assert await connections_in_use(app) == 0


async def many_articles(db: Database) -> None:
    """Two thousand articles of a kilobyte, by whoever there is."""
    await db.execute(
        "insert into articles (author_id, slug_words, title, description, body)"
        " select users.id, 'a', 'A', 'About', repeat('x', 1000) from users cross join generate_series(1, 2000)"
    )


class TestFewConnections:
    """With three connections, of which exports may hold as many as they are allowed, or two."""

    @pytest.fixture(params=[1, 2, 3, 100])
    def settings(self, settings: Settings, request: pytest.FixtureRequest) -> Settings:
        few = {"db_pool_size": 1, "db_max_overflow": 2, "db_pool_timeout": 5.0, "export_read_timeout": 3600.0}
        return settings.model_copy(update={**few, "export_connections": request.param})

    async def test_exports_leave_a_connection_to_the_others(
        self, app: Starlette, ann: Person, db: Database, settings: Settings
    ) -> None:
        await many_articles(db)
        begun, go_on = asyncio.Semaphore(0), asyncio.Event()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun.release()
            await go_on.wait()

        allowed = min(settings.export_connections, 2)
        exports = [asyncio.create_task(open_export(app, ann, never, send)) for _ in range(allowed)]
        async with asyncio.timeout(30):
            for _ in exports:
                await begun.acquire()

            refused = await ann.get("/api/articles/export")
            assert fields_at_fault(refused) == (503, {"export"})
            assert int(refused.headers["retry-after"]) > 0
            assert (await ann.get("/api/tags")).status_code == 200
            assert (await ann.get("/health/ready")).status_code == 200

            go_on.set()
            await asyncio.gather(*exports)
        assert (await ann.get("/api/articles/export")).status_code == 200

    async def test_an_export_that_failed_leaves_its_place(self, app: Starlette, ann: Person, db: Database) -> None:
        await db.execute("alter table articles rename to hidden")
        for _ in range(4):
            assert (await ann.get("/api/articles/export")).status_code == 500
        assert app.state.exports.running == 0
