"""Accounts: registering, logging in, reading and changing one's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from app.db import Database
from tests.documented import fields_at_fault, outcome
from tests.handlers.people import Person

BLANKS = ["", " ", "\t\n ", "\u2003"]
NOT_STRINGS: list[object] = [5, 1.5, True, [], ["ann"], {}]
ACCOUNT = {"username": "cleo", "email": "cleo@example.com", "password": "correct horse"}
TAKEN = ["has already been taken"]
BLANK = ["can't be blank"]
OUT_OF_BOUNDS = [
    ("username", "c" * 101),
    ("email", "cleo"),
    ("email", "@example.com"),
    ("email", "cleo@"),
    ("email", "@"),
    ("email", "cleo@@"),
    ("email", "c" * 245 + "@mail.test"),
    ("password", "1234567"),
    ("password", "ääääääü"),
    ("password", "p" * 1001),
]


async def register(client: httpx2.AsyncClient, **changes: Any) -> httpx2.Response:
    """Register cleo, with other values for some fields; a value of ... leaves the field out."""
    account = {field: value for field, value in {**ACCOUNT, **changes}.items() if value is not ...}
    return await client.post("/api/users", json={"user": account})


async def log_in(client: httpx2.AsyncClient, email: Any, password: Any) -> httpx2.Response:
    return await client.post("/api/users/login", json={"user": {"email": email, "password": password}})


async def test_registering_answers_with_the_new_account(client: httpx2.AsyncClient) -> None:
    answer = await register(client)

    assert answer.status_code == 201
    user = answer.json()["user"]
    assert user.pop("token")
    assert user == {"username": "cleo", "email": "cleo@example.com", "bio": None, "image": None}
    assert answer.json().keys() == {"user"}


async def test_the_token_of_a_new_account_is_theirs(client: httpx2.AsyncClient, ann: Person, bob: Person) -> None:
    assert (await ann.get("/api/user")).json()["user"]["username"] == "ann"
    assert (await bob.get("/api/user")).json()["user"]["username"] == "bob"


async def test_a_password_is_stored_hashed_and_never_shown(client: httpx2.AsyncClient, db: Database) -> None:
    answer = await register(client)

    stored = await db.fetchval("select password_hash from users")
    assert stored.startswith("$argon2id$")
    assert ACCOUNT["password"] not in stored
    assert ACCOUNT["password"] not in answer.text
    assert stored not in answer.text


@pytest.mark.parametrize("field", ["username", "email", "password"])
async def test_registering_needs_every_field(client: httpx2.AsyncClient, db: Database, field: str) -> None:
    for value in (..., *BLANKS):
        assert outcome(await register(client, **{field: value})) == (422, {field: BLANK}), value
    assert await db.fetchval("select count(*) from users") == 0


async def test_registering_says_everything_that_is_missing_at_once(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/users", json={"user": {}})

    assert outcome(answer) == (422, {"username": BLANK, "email": BLANK, "password": BLANK})


@pytest.mark.parametrize("field", ["username", "email", "password"])
async def test_registering_takes_nothing_but_strings(client: httpx2.AsyncClient, db: Database, field: str) -> None:
    for value in (None, *NOT_STRINGS):
        assert fields_at_fault(await register(client, **{field: value})) == (422, {field}), value
    assert await db.fetchval("select count(*) from users") == 0


async def test_registering_refuses_values_out_of_bounds(client: httpx2.AsyncClient, db: Database) -> None:
    for field, value in OUT_OF_BOUNDS:
        assert fields_at_fault(await register(client, **{field: value})) == (422, {field}), value
    assert await db.fetchval("select count(*) from users") == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "c"),
        ("username", "c" * 100),
        ("username", "Zoë Ångström"),
        ("email", "a@b"),
        ("email", "c" * 244 + "@mail.test"),
        ("password", "12345678"),
        ("password", "ääääääüü"),
        ("password", "a pass phrase of sixty-four characters, which everyone must take."),
        ("password", "p" * 1000),
    ],
)
async def test_values_within_bounds_are_kept_as_typed(client: httpx2.AsyncClient, field: str, value: str) -> None:
    account = {**ACCOUNT, field: value}

    assert (await register(client, **account)).status_code == 201

    user = (await log_in(client, account["email"], account["password"])).json()["user"]
    assert (user["username"], user["email"]) == (account["username"], account["email"])


async def test_a_username_is_taken_once(client: httpx2.AsyncClient, ann: Person, db: Database) -> None:
    assert outcome(await register(client, username="ann")) == (409, {"username": TAKEN})
    assert await db.fetchval("select count(*) from users") == 1


@pytest.mark.parametrize("email", ["ann@example.com", "Ann@Example.COM"])
async def test_an_email_is_taken_once_however_capitalised(
    client: httpx2.AsyncClient, ann: Person, db: Database, email: str
) -> None:
    assert outcome(await register(client, email=email)) == (409, {"email": TAKEN})
    assert await db.fetchval("select count(*) from users") == 1


async def test_fields_that_nobody_knows_are_ignored(client: httpx2.AsyncClient, db: Database) -> None:
    answer = await client.post("/api/users", json={"user": {**ACCOUNT, "id": 7, "admin": True}, "more": [1]})

    assert answer.status_code == 201
    assert await db.fetchval("select id from users") != 7


async def test_logging_in_answers_with_the_account(client: httpx2.AsyncClient, ann: Person, bob: Person) -> None:
    answer = await log_in(client, ann.email, ann.password)

    assert answer.status_code == 200
    user = answer.json()["user"]
    token = user.pop("token")
    assert user == {"username": "ann", "email": "ann@example.com", "bio": None, "image": None}
    who = await client.get("/api/user", headers={"Authorization": f"Token {token}"})
    assert who.json()["user"]["username"] == "ann"


async def test_an_email_logs_in_however_capitalised(client: httpx2.AsyncClient) -> None:
    await register(client, email="Cleo@Example.com")

    for email in ("cleo@example.com", "CLEO@EXAMPLE.COM"):
        answer = await log_in(client, email, ACCOUNT["password"])
        assert answer.status_code == 200
        assert answer.json()["user"]["email"] == "Cleo@Example.com"


@pytest.mark.usefixtures("ann", "bob")
async def test_a_failed_login_never_says_which_part_was_wrong(client: httpx2.AsyncClient) -> None:
    for email, password in (
        ("ann@example.com", "ANN'S PASSWORD"),
        ("ann@example.com", "bob's password"),
        ("ann@example.com", "short"),
        ("ann@example.com", "ann's password "),
        ("nobody@example.com", "ann's password"),
        ("not an address", "ann's password"),
        ("ann", "ann's password"),
    ):
        assert outcome(await log_in(client, email, password)) == (401, {"credentials": ["invalid"]}), (email, password)


@pytest.mark.parametrize("field", ["email", "password"])
async def test_logging_in_needs_every_field(client: httpx2.AsyncClient, ann: Person, field: str) -> None:
    credentials = {"email": ann.email, "password": ann.password}

    for blank in BLANKS:
        answer = await log_in(client, **{**credentials, field: blank})
        assert outcome(answer) == (422, {field: BLANK}), blank
    del credentials[field]
    assert outcome(await client.post("/api/users/login", json={"user": credentials})) == (422, {field: BLANK})


async def test_logging_in_takes_nothing_but_strings(client: httpx2.AsyncClient, ann: Person) -> None:
    for value in (None, *NOT_STRINGS):
        assert fields_at_fault(await log_in(client, value, ann.password)) == (422, {"email"}), value
        assert fields_at_fault(await log_in(client, ann.email, value)) == (422, {"password"}), value


async def test_the_current_user_is_who_the_token_says(ann: Person, bob: Person) -> None:
    answer = await ann.get("/api/user")

    assert answer.status_code == 200
    user = answer.json()["user"]
    assert user.pop("token")
    assert user == {"username": "ann", "email": "ann@example.com", "bio": None, "image": None}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", "anna"),
        ("email", "anna@example.com"),
        ("bio", "I like dragons"),
        ("image", "https://images.example/ann.png"),
    ],
)
async def test_one_field_changes_and_the_others_stay(ann: Person, bob: Person, field: str, value: str) -> None:
    await ann.put("/api/user", {"user": {"bio": "Before", "image": "https://images.example/before.png"}})
    before = (await ann.get("/api/user")).json()["user"]
    bob_before = (await bob.get("/api/user")).json()["user"]

    answer = await ann.put("/api/user", {"user": {field: value}})

    assert answer.status_code == 200
    expected = {**before, field: value}
    for user in (answer.json()["user"], (await ann.get("/api/user")).json()["user"]):
        assert {**user, "token": ""} == {**expected, "token": ""}
        assert user["token"]
    assert {**(await bob.get("/api/user")).json()["user"], "token": ""} == {**bob_before, "token": ""}


@pytest.mark.parametrize("field", ["bio", "image"])
@pytest.mark.parametrize("empty", [None, ""])
async def test_bio_and_image_are_emptied_by_null_and_by_an_empty_string(
    ann: Person, db: Database, field: str, empty: str | None
) -> None:
    await ann.put("/api/user", {"user": {"bio": "Text", "image": "https://images.example/ann.png"}})

    answer = await ann.put("/api/user", {"user": {field: empty}})

    assert answer.status_code == 200
    other = "image" if field == "bio" else "bio"
    assert answer.json()["user"][field] is None
    assert answer.json()["user"][other] is not None
    assert (await ann.get("/api/user")).json()["user"][field] is None
    assert await db.fetchval(f"select {field} is null from users")


@pytest.mark.parametrize("field", ["username", "email", "password"])
async def test_an_update_refuses_blanks(ann: Person, field: str) -> None:
    for value in BLANKS:
        answer = await ann.put("/api/user", {"user": {"bio": "must not be stored", field: value}})
        assert outcome(answer) == (422, {field: BLANK}), value
    assert (await ann.get("/api/user")).json()["user"]["bio"] is None


@pytest.mark.parametrize("field", ["username", "email", "password"])
async def test_an_update_takes_nothing_but_strings(ann: Person, field: str) -> None:
    for value in (None, *NOT_STRINGS):
        answer = await ann.put("/api/user", {"user": {"bio": "must not be stored", field: value}})
        assert fields_at_fault(answer) == (422, {field}), value
    assert (await ann.get("/api/user")).json()["user"]["bio"] is None


@pytest.mark.parametrize("field", ["bio", "image"])
async def test_bio_and_image_are_strings_or_null(ann: Person, field: str) -> None:
    for value in NOT_STRINGS:
        assert fields_at_fault(await ann.put("/api/user", {"user": {field: value}})) == (422, {field}), value


async def test_an_update_refuses_values_out_of_bounds(client: httpx2.AsyncClient, ann: Person) -> None:
    for field, value in OUT_OF_BOUNDS:
        assert fields_at_fault(await ann.put("/api/user", {"user": {field: value}})) == (422, {field}), value
    assert (await log_in(client, ann.email, ann.password)).status_code == 200


@pytest.mark.parametrize(
    ("field", "value"), [("username", "bob"), ("email", "bob@example.com"), ("email", "BOB@example.com")]
)
async def test_nobody_can_take_the_name_of_another(ann: Person, bob: Person, field: str, value: str) -> None:
    answer = await ann.put("/api/user", {"user": {"bio": "must not be stored", field: value}})

    assert outcome(answer) == (409, {field: TAKEN})
    user = (await ann.get("/api/user")).json()["user"]
    assert (user["username"], user["email"], user["bio"]) == ("ann", "ann@example.com", None)


async def test_ones_own_name_and_address_are_not_taken(ann: Person) -> None:
    answer = await ann.put("/api/user", {"user": {"username": "ann", "email": "Ann@Example.com"}})

    assert answer.status_code == 200
    assert answer.json()["user"]["email"] == "Ann@Example.com"


@pytest.mark.parametrize("fields", [{}, {"unknown": 1}], ids=["nothing", "nothing known"])
async def test_an_update_of_nothing_is_refused(ann: Person, fields: dict[str, int]) -> None:
    assert fields_at_fault(await ann.put("/api/user", {"user": fields})) == (422, {"user"})


async def test_a_new_password_replaces_the_old_one(client: httpx2.AsyncClient, ann: Person, bob: Person) -> None:
    answer = await ann.put("/api/user", {"user": {"password": "a new password"}})

    assert answer.status_code == 200
    assert (await log_in(client, ann.email, "a new password")).status_code == 200
    assert (await log_in(client, ann.email, ann.password)).status_code == 401
    assert (await log_in(client, bob.email, bob.password)).status_code == 200


async def test_a_token_stays_valid_when_its_user_changes_name_and_address(ann: Person) -> None:
    await ann.put("/api/user", {"user": {"username": "anna", "email": "anna@example.com"}})

    answer = await ann.get("/api/user")

    assert answer.status_code == 200
    assert answer.json()["user"]["username"] == "anna"


async def test_a_freed_username_does_not_inherit_the_old_token(
    ann: Person, newcomer: Callable[[str], Awaitable[Person]]
) -> None:
    await ann.put("/api/user", {"user": {"username": "anna", "email": "anna@example.com"}})
    other = await newcomer("ann")

    assert (await ann.get("/api/user")).json()["user"]["username"] == "anna"
    assert (await other.get("/api/user")).json()["user"]["username"] == "ann"


async def test_a_new_name_shows_wherever_its_user_does(ann: Person, bob: Person, article: dict[str, Any]) -> None:
    comment = await ann.comments(article)
    await ann.put("/api/user", {"user": {"username": "anna", "bio": "Renamed"}})

    seen = await bob.reads(article)
    comments = (await bob.get(f"/api/articles/{article['slug']}/comments")).json()["comments"]

    assert (seen["author"]["username"], seen["author"]["bio"]) == ("anna", "Renamed")
    assert [(row["id"], row["author"]["username"]) for row in comments] == [(comment["id"], "anna")]
    assert outcome(await bob.get("/api/profiles/ann")) == (404, {"profile": ["not found"]})


async def test_every_answer_with_a_user_carries_a_token_that_works(client: httpx2.AsyncClient, ann: Person) -> None:
    answers = [
        await log_in(client, ann.email, ann.password),
        await ann.get("/api/user"),
        await ann.put("/api/user", {"user": {"bio": "Text"}}),
    ]

    for answer in answers:
        headers = {"Authorization": f"Token {answer.json()['user']['token']}"}
        assert (await client.get("/api/user", headers=headers)).json()["user"]["username"] == "ann"
