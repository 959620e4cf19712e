"""Every rule of every field of a body, each with the one sentence that says which rule a value breaks."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator
from starlette.applications import Starlette

from app.db import Database
from tests.documented import OpenApiDocument, outcome
from tests.handlers.people import Person

BLANK = "can't be blank"
STRING = "must be a string"
UNSTORABLE = "must not contain a NUL character or half of a surrogate pair"
SLASH = 'must not contain "/"'
DOTS = 'must not be "." or ".."'
ADDRESS = "is not an e-mail address"
MAX_BODY_BYTES = 1_048_576
NOT_STRINGS: list[Any] = [5, 1.5, True, [], ["text"], {}]
NOT_LISTS: list[Any] = [None, "dragons", 5, True, {}]


def longest(limit: int) -> str:
    return f"is too long (at most {limit} characters)"


def text_rules(limit: int) -> list[tuple[Any, str]]:
    """Values that break the rules of every required text, and what is said of each."""
    blanks = [(value, BLANK) for value in (None, "", " ", "\t\r\n", "\u2003\u00a0")]
    others = [(value, STRING) for value in NOT_STRINGS]
    unstorable = [(value, UNSTORABLE) for value in ("a\0b" * 4, "\0" * 8, "characters\ud800", "\udc00characters")]
    return [*blanks, *others, *unstorable, ("x" * (limit + 1), longest(limit)), ("𝄞" * (limit + 1), longest(limit))]


def optional_rules(limit: int) -> list[tuple[Any, str]]:
    """As text_rules, for a text that may be blank or null."""
    return [(value, sentence) for value, sentence in text_rules(limit) if sentence != BLANK]


USERNAME = [
    *text_rules(100),
    *[(name, SLASH) for name in ("/", "a/b", "/a", "a/", "./", "../..")],
    *[(name, DOTS) for name in (".", "..")],
    *[(name, BLANK) for name in ("\u200b", "\u200d\u2060", "\ufeff ", "\x01\x7f")],
]
EMAIL = [*text_rules(254), *[(email, ADDRESS) for email in ("ann", "@", "@b", "ann@", "a b@c", "ann@b\n")]]
PASSWORD = [*text_rules(1000), *[(value, "is too short (at least 8 characters)") for value in ("1234567", "äöüäöüä")]]
TAGS: list[tuple[Any, str]] = [
    *[(value, "must be a list") for value in NOT_LISTS],
    *[(["good", value], f"entry 2 {sentence}") for value, sentence in text_rules(100)],
    ([str(number) for number in range(101)], "has too many entries (at most 100)"),
    (["same"] * 101, "has too many entries (at most 100)"),
    ([5] * 100_000, "entry 1 must be a string"),
    ([""] * 100_000, "entry 1 can't be blank"),
]
CREDENTIAL = [(value, sentence) for value, sentence in text_rules(1) if not sentence.startswith("is too long")]
ARTICLE = {"title": text_rules(300), "description": text_rules(1000), "body": text_rules(100_000), "tagList": TAGS}


class Input(NamedTuple):
    """An operation with a body: its envelope, valid values, and for each field what breaks its rules."""

    method: str
    path: str
    envelope: str
    valid: dict[str, Any]
    rules: dict[str, list[tuple[Any, str]]]


ACCOUNT = {"username": "cleo", "email": "cleo@example.com", "password": "correct horse"}
NEW = {"title": "Title", "description": "About", "body": "Text"}
INPUTS = {
    "register": Input(
        "POST", "/api/users", "user", ACCOUNT, {"username": USERNAME, "email": EMAIL, "password": PASSWORD}
    ),
    "log in": Input(
        "POST", "/api/users/login", "user", {"email": "ann@example.com", "password": "ann's password"},
        {"email": CREDENTIAL, "password": CREDENTIAL},
    ),
    "update user": Input(
        "PUT", "/api/user", "user", {"bio": "Kept out"},
        {
            "username": USERNAME, "email": EMAIL, "password": PASSWORD,
            "bio": optional_rules(2000), "image": optional_rules(2000),
        },
    ),
    "publish": Input("POST", "/api/articles", "article", NEW, ARTICLE),
    "update article": Input("PUT", "/api/articles/{slug}", "article", NEW, ARTICLE),
    "comment": Input(
        "POST", "/api/articles/{slug}/comments", "comment", {"body": "Text"}, {"body": text_rules(10_000)}
    ),
}  # fmt: skip
CASES = [pytest.param(INPUTS[name], field, id=f"{name}: {field}") for name in INPUTS for field in INPUTS[name].rules]


def encoded(body: Any) -> bytes:
    """The body as JSON; only half of a surrogate pair, which has no bytes, is escaped."""
    text = json.dumps(body, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", text).encode()


async def contents(db: Database) -> list[Any]:
    """Every row there is of accounts, articles, tags and comments."""
    tables = ("users", "articles", "article_tags", "comments")
    return [await db.fetch(f"select * from {table} order by 1, 2") for table in tables]


@pytest.mark.parametrize(("given", "field"), CASES)
async def test_a_value_that_breaks_a_rule_is_refused_with_the_sentence_of_that_rule(
    ann: Person, article: dict[str, Any], db: Database, given: Input, field: str
) -> None:
    before = await contents(db)

    for value, sentence in given.rules[field]:
        answer = await ann.request(
            given.method,
            given.path.format(slug=article["slug"]),
            content=encoded({given.envelope: {**given.valid, field: value}}),
        )
        assert outcome(answer) == (422, {field: [sentence]}), str(value)[:80]
    assert await contents(db) == before


@pytest.mark.parametrize(
    ("name", "field", "limit"),
    [
        ("register", "username", 100),
        ("update user", "bio", 2000),
        ("update user", "image", 2000),
        ("publish", "title", 300),
        ("publish", "description", 1000),
        ("publish", "body", 100_000),
        ("update article", "description", 1000),
        ("update article", "body", 100_000),
        ("comment", "body", 10_000),
    ],
)
async def test_a_text_of_exactly_its_limit_is_kept_in_characters_of_any_width(
    ann: Person, article: dict[str, Any], name: str, field: str, limit: int
) -> None:
    given = INPUTS[name]
    for character in "xé𝄞":
        value = character * limit
        body = {**given.valid, field: value} | ({"email": f"{ord(character)}@b.c"} if name == "register" else {})
        answer = await ann.request(
            given.method,
            given.path.format(slug=article["slug"]),
            content=encoded({given.envelope: body}),
        )
        assert answer.status_code in {200, 201}, answer.text
        assert answer.json()[given.envelope][field] == value
        article["slug"] = answer.json().get("article", article)["slug"]


LONGEST_LOGIN = {"email": 254, "password": 1000}


async def test_credentials_longer_than_any_are_wrong_without_being_hashed_or_looked_up(
    app: Starlette, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = {"email": ann.email, "password": ann.password}
    assert (await ann.client.post("/api/users/login", json={"user": right})).status_code == 200

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it was looked at")

    monkeypatch.setattr(app.state.passwords, "verify", refuse)
    monkeypatch.setattr("app.handlers.users.users.find_account", refuse)
    for field, limit in LONGEST_LOGIN.items():
        for value in ("x" * (limit + 1), right[field] + " " * limit, "a" + "\u0315\u0300" * (MAX_BODY_BYTES // 5)):
            body = encoded({"user": {**right, field: value}})
            answer = await ann.client.post("/api/users/login", content=body)
            assert outcome(answer) == (401, {"credentials": ["invalid"]}), field


async def test_a_password_of_the_longest_kind_logs_in(ann: Person) -> None:
    password = ("\u0315\u0300" * 500)[:1000]
    assert (await ann.put("/api/user", {"user": {"password": password}})).status_code == 200

    for given, status in ((password, 200), (password[:-1], 401), (password + "\u0300", 401)):
        credentials = {"email": ann.email, "password": given}
        answer = await ann.client.post("/api/users/login", content=encoded({"user": credentials}))
        assert answer.status_code == status


async def test_what_comes_in_an_address_has_a_limit_too(ann: Person, article: dict[str, Any]) -> None:
    long = "x" * 60_000
    for path in ("/api/articles", "/api/articles?offset=0"):
        for name in ("tag", "author", "favorited"):
            answer = await ann.get(path, {name: "x" * 101})
            assert outcome(answer) == (422, {name: [longest(100)]})
            assert (await ann.get(path, {name: "𝄞" * 100})).status_code == 200
    assert outcome(await ann.get("/api/articles", {"cursor": long})) == (
        422, {"cursor": ["is not one that a Link header gave"]}
    )  # fmt: skip
    for name in ("limit", "offset"):
        assert (await ann.get("/api/articles", {name: "9" * 60_000})).status_code == 422
    assert outcome(await ann.get("/api/articles/export", {"format": long})) == (422, {"format": [longest(10)]})
    assert outcome(await ann.get(f"/api/articles/{article['slug']}{long}")) == (404, {"article": ["not found"]})
    assert outcome(await ann.get(f"/api/profiles/ann{long}")) == (404, {"profile": ["not found"]})
    assert outcome(await ann.delete(f"/api/articles/{article['slug']}/comments/{long}")) == (
        404, {"comment": ["not found"]}
    )  # fmt: skip


async def test_the_document_states_every_limit_of_a_text(openapi_document: Any) -> None:
    without: list[str] = []
    for key, operation in openapi_document.operations().items():
        if "requestBody" not in operation:
            continue
        outer = operation["requestBody"]["content"]["application/json"]["schema"]
        (inner,) = outer["properties"].values()
        for name, schema in openapi_document.resolve(inner)["properties"].items():
            kinds = schema.get("anyOf", [schema])
            texts = [kind.get("items", kind) for kind in kinds if kind["type"] != "null"]
            if not all("maxLength" in text for text in texts) or not all(
                "maxItems" in k for k in kinds if "items" in k
            ):
                without.append(f"{key}: {name}")
    assert without == []


# To Python `$` is also before a line's end.
UNSAID = {"ann@b\n"}


@pytest.mark.parametrize(("given", "field"), CASES)
async def test_the_document_says_what_is_refused(openapi_document: OpenApiDocument, given: Input, field: str) -> None:
    body = openapi_document.operations()[given.method, given.path]["requestBody"]["content"]["application/json"]
    schema = Draft202012Validator({**body["schema"], "components": openapi_document.document["components"]})

    def is_valid(value: Any) -> bool:
        return schema.is_valid({given.envelope: {**given.valid, field: value}})  # pyright: ignore[reportUnknownMemberType] - jsonschema has partial types

    for value, _ in given.rules[field]:
        # JSON has no half of a surrogate pair.
        if not re.search("[\ud800-\udfff]", json.dumps(value, ensure_ascii=False)):
            assert not is_valid(value) or value in UNSAID, str(value)[:80]
    assert given.valid.get(field) is None or is_valid(given.valid[field])


async def test_a_body_full_of_mistakes_gets_a_short_answer(ann: Person) -> None:
    for content in (
        b'{"article": {"tagList": [' + b'"a",' * 250_000 + b'"a"]}}',
        b'{"article": {"tagList": [' + b"1," * 500_000 + b"1]}}",
        b'{"article": {"title": "' + b"\xcc\x95\xcc\x80" * 250_000 + b'"}}',
        b'{"article": ' + b"[" * 1_000_000,
        b'{"article": ' + b"9" * 1_000_000 + b"}",
        b'{"article": 0.' + b"9" * 1_000_000 + b"}",
        b'{"article": {"title": "' + b" " * 1_000_000 + b'"}}',
    ):
        answer = await ann.request("POST", "/api/articles", content=content)
        assert answer.status_code in {400, 422}
        assert len(answer.content) < 300
