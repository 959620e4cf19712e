"""Input that no client of good will sends: an error that names the field, nothing stored, never a crash."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx2
import pytest

from app.db import Database
from app.settings import Settings
from tests.documented import fields_at_fault, outcome
from tests.handlers.people import Person


class Input(NamedTuple):
    """An operation with a body: its envelope, and a valid value for each field."""

    method: str
    path: str
    envelope: str
    fields: dict[str, Any]


ACCOUNT = {"username": "cleo", "email": "cleo@example.com", "password": "correct horse"}
ARTICLE = {"title": "Title", "description": "About", "body": "Text", "tagList": ["tag"]}
INPUTS = {
    "register": Input("POST", "/api/users", "user", ACCOUNT),
    "log in": Input("POST", "/api/users/login", "user", {"email": "ann@example.com", "password": "ann's password"}),
    "update user": Input("PUT", "/api/user", "user", {**ACCOUNT, "bio": "Text", "image": "https://images.example/a"}),
    "publish": Input("POST", "/api/articles", "article", ARTICLE),
    "update article": Input("PUT", "/api/articles/{slug}", "article", ARTICLE),
    "comment": Input("POST", "/api/articles/{slug}/comments", "comment", {"body": "Text"}),
}
every_input = pytest.mark.parametrize("given", INPUTS.values(), ids=INPUTS.keys())


class Sender:
    """Sends raw bodies as ann, and knows whether anything changed since."""

    def __init__(self, ann: Person, article: dict[str, Any], db: Database) -> None:
        self._ann = ann
        self._slug = article["slug"]
        self._db = db

    async def send(self, given: Input, content: Any) -> httpx2.Response:
        """The answer to exactly these bytes as a body."""
        path = given.path.format(slug=self._slug)
        headers = {**self._ann.headers, "Content-Type": "application/json"}
        return await self._ann.client.request(given.method, path, content=content, headers=headers)

    async def send_fields(self, given: Input, **changes: Any) -> httpx2.Response:
        """The answer to a body that is valid but for these fields."""
        return await self.send(given, json.dumps({given.envelope: {**given.fields, **changes}}))

    async def contents(self) -> list[Any]:
        """Every row there is of accounts, articles, tags and comments."""
        tables = ("users", "articles", "article_tags", "comments")
        return [await self._db.fetch(f"select * from {table} order by 1, 2") for table in tables]


@pytest.fixture
def sender(ann: Person, article: dict[str, Any], db: Database) -> Sender:
    return Sender(ann, article, db)


@every_input
async def test_what_these_tests_change_is_valid_to_begin_with(sender: Sender, given: Input) -> None:
    assert (await sender.send_fields(given)).status_code in {200, 201}


NOT_JSON = [
    b"",
    b" ",
    b"{",
    b"user=ann",
    b"{'user': {}}",
    b'{"user": {}} {}',
    b'{"user": NaN}',
    b'{"article": Infinity}',
    b'{"user": "\xff"}',
    b'{"user": "\xed\xa0\x80"}',
    b"\x00",
    b'{"user": "\x00"}',
    b'{"user": 01}',
]


@every_input
async def test_a_body_that_is_not_json_is_refused(sender: Sender, given: Input) -> None:
    before = await sender.contents()

    for content in NOT_JSON:
        assert fields_at_fault(await sender.send(given, content)) == (400, {"body"}), content
    assert await sender.contents() == before


@every_input
async def test_a_body_that_is_not_an_object_is_refused(sender: Sender, given: Input) -> None:
    for content in (b"[]", b'[{"user": {}}]', b'"user"', b"5", b"1e999", b"null", b"true"):
        assert fields_at_fault(await sender.send(given, content)) == (400, {"body"}), content


@every_input
async def test_a_body_that_is_too_deep_is_refused(sender: Sender, given: Input) -> None:
    depth = 100_000
    for nested in ("[" * depth, "[" * depth + "]" * depth, '{"a":' * depth, '{"a":' * depth + "1" + "}" * depth):
        assert fields_at_fault(await sender.send(given, nested)) == (400, {"body"})
        assert fields_at_fault(await sender.send(given, f'{{"{given.envelope}": {nested}}}')) == (400, {"body"})


@every_input
async def test_a_number_of_any_length_is_refused_with_its_field(sender: Sender, given: Input) -> None:
    digits = "9" * 10_000
    before = await sender.contents()

    for value in (digits, f"-{digits}.{digits}", f"1e{digits}"):
        for field in given.fields:
            content = json.dumps({given.envelope: {**given.fields, field: "the number"}}).replace('"the number"', value)
            assert fields_at_fault(await sender.send(given, content)) == (422, {field})
    assert await sender.contents() == before


def padded(given: Input, size: int) -> bytes:
    """A valid body of exactly `size` bytes, most of them in a field that nobody knows."""
    content: dict[str, Any] = {given.envelope: given.fields, "padding": ""}
    content["padding"] = "x" * (size - len(json.dumps(content)))
    return json.dumps(content).encode()


async def in_pieces(content: bytes) -> AsyncIterator[bytes]:
    """The content without its length said beforehand."""
    for start in range(0, len(content), 50_000):
        yield content[start : start + 50_000]


@every_input
async def test_a_body_over_the_limit_is_refused(sender: Sender, given: Input, settings: Settings) -> None:
    before = await sender.contents()
    content = padded(given, settings.max_body_bytes + 1)

    assert fields_at_fault(await sender.send(given, content)) == (413, {"body"})
    assert fields_at_fault(await sender.send(given, in_pieces(content))) == (413, {"body"})
    assert await sender.contents() == before


@every_input
async def test_a_body_of_exactly_the_limit_is_served(sender: Sender, given: Input, settings: Settings) -> None:
    answer = await sender.send(given, padded(given, settings.max_body_bytes))

    assert answer.status_code in {200, 201}


@every_input
async def test_a_body_without_its_envelope_is_refused(sender: Sender, given: Input) -> None:
    null = json.dumps({given.envelope: None})
    for content in ("{}", '{"other": {}}', '{"User": {}, "Article": {}, "Comment": {}}', null):
        answer = await sender.send(given, content)
        assert outcome(answer) == (422, {given.envelope: ["can't be blank"]}), content


@every_input
async def test_an_envelope_that_is_not_an_object_is_refused(sender: Sender, given: Input) -> None:
    before = await sender.contents()

    for value in ("null", '"ann"', '""', "5", "true", "[]", "[{}]"):
        answer = await sender.send(given, f'{{"{given.envelope}": {value}}}')
        assert fields_at_fault(answer) == (422, {given.envelope}), value
    assert await sender.contents() == before


UNSTORABLE = ["a\x00b", "\x00", "a\ud800b", "a\udc00b", "\ude00\ud83d"]


@every_input
async def test_characters_that_text_cannot_hold_are_refused_with_their_field(sender: Sender, given: Input) -> None:
    before = await sender.contents()

    for field in given.fields:
        for characters in UNSTORABLE:
            text = characters + ("@example.com" if field == "email" else "and more")
            value = ["good", text] if field == "tagList" else text
            answer = await sender.send_fields(given, **{field: value})
            assert fields_at_fault(answer) == (422, {field}), characters
    assert await sender.contents() == before


@every_input
async def test_any_other_character_is_kept(sender: Sender, given: Input) -> None:
    odd = "\x01\x7f\u200b\ufeff\uffff𝄞\U0010ffff\\\"'"
    odd_values = {"email": f"{odd}@example.com", "tagList": [odd]}
    fields = {field: odd_values.get(field, odd) for field in given.fields}

    answer = await sender.send_fields(given, **fields)

    if given.path.endswith("login"):
        assert outcome(answer) == (401, {"credentials": ["invalid"]})
        return
    assert answer.status_code in {200, 201}
    shown = answer.json()[given.envelope]
    assert {field: shown.get(field) for field in fields if field != "password"} == {
        field: value for field, value in fields.items() if field != "password"
    }


@every_input
async def test_fields_that_nobody_knows_are_ignored_whatever_they_hold(sender: Sender, given: Input) -> None:
    fields: dict[str, Any] = {
        **given.fields,
        "unknown": ["\x00", "\ud800", 10**400],
        "\ud800": 1,
        "\x00": {},
        "": None,
        "id": -1,
    }

    answer = await sender.send(given, json.dumps({given.envelope: fields, "more": "\ud800"}))

    assert answer.status_code in {200, 201}
    assert "unknown" not in answer.text


@every_input
async def test_a_byte_order_mark_or_another_encoding_is_no_crash(sender: Sender, given: Input) -> None:
    content = json.dumps({given.envelope: given.fields})

    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert (await sender.send(given, content.encode(encoding))).status_code in {200, 201, 400, 409}


SLUG_PATHS = [
    ("GET", "/api/articles/{}"),
    ("DELETE", "/api/articles/{}"),
    ("GET", "/api/articles/{}/comments"),
    ("DELETE", "/api/articles/{}/comments/1"),
    ("POST", "/api/articles/{}/favorite"),
    ("DELETE", "/api/articles/{}/favorite"),
]
USERNAME_PATHS = [
    ("GET", "/api/profiles/{}"),
    ("POST", "/api/profiles/{}/follow"),
    ("DELETE", "/api/profiles/{}/follow"),
]
ODD_SEGMENTS = ["%FF", "%ED%A0%80", "%C3", "%0A", "%20", "..%5C..", "%25", "a" * 5000, "%F0%9F%90%89", "{slug}"]


@pytest.mark.parametrize(("field", "paths"), [("slug", SLUG_PATHS), ("username", USERNAME_PATHS)])
async def test_a_path_may_hold_anything(ann: Person, field: str, paths: list[tuple[str, str]]) -> None:
    for method, path in paths:
        assert fields_at_fault(await ann.request(method, path.format("a%00b"))) == (422, {field}), path
        for odd in ODD_SEGMENTS:
            assert (await ann.request(method, path.format(odd))).status_code in {404, 422}, (path, odd)


@pytest.mark.parametrize("path", ["/api/articles", "/api/articles/feed", "/api/users"])
async def test_a_query_may_hold_anything(ann: Person, path: str) -> None:
    names = ["tag=%FF", "author=%ED%A0%80", "favorited=%", "%00=1", "&&==&", "tag=a&tag=b", "tag", "tag="]
    for query in (*names, "tag=" + "x" * 5000):
        assert (await ann.get(f"{path}?{query}")).status_code in {200, 422}, query
