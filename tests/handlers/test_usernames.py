"""User names and addresses: each name has a path, and no two of either are the same to who reads them."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db import Database
from app.repositories import users
from tests.documented import outcome
from tests.handlers.people import Person
from tests.processes import service

TAKEN = ["has already been taken"]
SAME = [
    ("ann", "ANN"),
    ("ann", "aNn"),
    ("ann", "\uff41\uff4e\uff4e"),
    ("ann", "\U0001d41a\U0001d427\U0001d427"),
    ("caf\u00e9", "CAFE\u0301"),
    ("Stra\u00dfe", "STRASSE"),
    ("stra\u1e9ee", "strasse"),
    ("\u03a3\u0391\u03a3", "\u03c3\u03b1\u03c2"),
    ("\u0130x", "i\u0307X"),
    ("\ufb01n", "FIN"),
    ("\u2168", "ix"),
    ("\u1f84", "\u1f8c"),
    ("\u13a0", "\uab70"),
    ("\U0001e900", "\U0001e922"),
    ("\u0451", "\u0401"),
]
OTHER = [("ann", "anna"), ("ann", "an n"), ("\u0131", "i"), ("e", "\u00e9"), ("o", "\u043e"), ("ann", "ann\u200b")]


async def register(client: httpx2.AsyncClient, username: str, email: str) -> httpx2.Response:
    account = {"username": username, "email": email, "password": "correct horse"}
    return await client.post("/api/users", json={"user": account})


@pytest.mark.parametrize(("stored", "given_name"), [*SAME, *[(other, stored) for stored, other in SAME]])
async def test_a_name_that_is_the_same_after_nfkc_and_case_folding_is_taken(
    client: httpx2.AsyncClient, bob: Person, stored: str, given_name: str
) -> None:
    first = await register(client, stored, "first@example.com")
    assert (first.status_code, first.json()["user"]["username"]) == (201, stored)

    assert outcome(await register(client, given_name, "second@example.com")) == (409, {"username": TAKEN})
    assert outcome(await bob.put("/api/user", {"user": {"username": given_name}})) == (409, {"username": TAKEN})


@pytest.mark.parametrize(("stored", "other"), OTHER)
async def test_any_other_name_is_free(client: httpx2.AsyncClient, stored: str, other: str) -> None:
    for number, name in enumerate((stored, other)):
        assert (await register(client, name, f"{number}@example.com")).status_code == 201


async def test_ones_own_name_can_be_written_in_another_way(ann: Person, client: httpx2.AsyncClient) -> None:
    for name in ("Ann", "ANN", "ANN", "\uff21nn", "ann"):
        answer = await ann.put("/api/user", {"user": {"username": name}})
        assert (answer.status_code, answer.json()["user"]["username"]) == (200, name)
        profile = await client.get(f"/api/profiles/{quote(name, safe='')}")
        assert profile.json()["profile"]["username"] == name


async def test_every_field_that_is_taken_is_named(client: httpx2.AsyncClient, ann: Person, bob: Person) -> None:
    both = (409, {"email": TAKEN, "username": TAKEN})
    for username, email in (("ann", "ann@example.com"), ("ANN", "BOB@example.com"), ("bob", "Ann@Example.com")):
        assert outcome(await register(client, username, email)) == both
    cleo = Person(client, "", "", "", (await register(client, "cleo", "c@example.com")).json()["user"]["token"])
    assert outcome(await cleo.put("/api/user", {"user": {"username": "ann", "email": "bob@example.com"}})) == both
    assert outcome(await cleo.put("/api/user", {"user": {"username": "Cleo", "email": "bob@example.com"}})) == (
        409, {"email": TAKEN}
    )  # fmt: skip
    assert outcome(await cleo.put("/api/user", {"user": {"username": "BOB", "email": "C@example.com"}})) == (
        409, {"username": TAKEN}
    )  # fmt: skip
    assert outcome(await cleo.put("/api/user", {"user": {"email": "BOB@example.com"}})) == (409, {"email": TAKEN})
    assert outcome(await register(client, "dan", "ANN@example.com")) == (409, {"email": TAKEN})
    assert outcome(await register(client, "Ann", "dan@example.com")) == (409, {"username": TAKEN})


@pytest.mark.parametrize(("stored", "given_name"), SAME)
async def test_an_address_that_is_the_same_after_nfkc_and_case_folding_is_taken_and_logs_in(
    client: httpx2.AsyncClient, bob: Person, stored: str, given_name: str
) -> None:
    stored, given_email = f"{stored}@example.com", f"{given_name}@Example.com"
    assert (await register(client, "first", stored)).status_code == 201

    assert outcome(await register(client, "second", given_email)) == (409, {"email": TAKEN})
    assert outcome(await bob.put("/api/user", {"user": {"email": given_email}})) == (409, {"email": TAKEN})
    credentials = {"email": given_email, "password": "correct horse"}
    answer = await client.post("/api/users/login", json={"user": credentials})
    assert (answer.status_code, answer.json()["user"]["email"]) == (200, stored)


def folded(name: str) -> str:
    """Python's own: after NFKC, with the canonical decomposition first that Unicode's caseless matching asks for."""
    decomposed = unicodedata.normalize("NFKD", name)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", decomposed.casefold()))


ASSIGNED = st.characters(exclude_categories=["Cs", "Cn", "Co"], exclude_characters="\0")
FOLDING = st.sampled_from(
    [c for c in map(chr, range(0x110000)) if c.casefold() != c or unicodedata.normalize("NFKD", c) != c]
).filter(lambda character: unicodedata.category(character) != "Cs")


async def test_postgresql_folds_every_character_as_python_does(db: Database) -> None:
    characters = [chr(code) for code in range(1, 0x110000) if unicodedata.category(chr(code)) not in {"Cs", "Cn", "Co"}]

    found = await db.fetch("select name, folded(name) as folded from unnest($1::text[]) as name", characters)

    assert len(found) == len(characters)
    assert [row["name"] for row in found if row["folded"] != folded(row["name"])] == []


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.text(st.one_of(ASSIGNED, FOLDING), min_size=1, max_size=8), min_size=50, max_size=100))
async def test_postgresql_folds_every_name_as_python_does(db: Database, names: list[str]) -> None:
    found = await db.fetch("select name, folded(name) as folded from unnest($1::text[]) as name", names)

    assert [row["name"] for row in found if row["folded"] != folded(row["name"])] == []


async def test_what_nfkc_makes_long_still_fits_into_an_index(client: httpx2.AsyncClient, db: Database) -> None:
    longest = sorted(map(chr, range(0xFB00, 0xFE00)), key=lambda character: len(folded(character)), reverse=True)
    assert len(folded(longest[0])) == 18
    for number, characters in enumerate((longest[0] * 252, "".join(longest[:252]))):
        assert (await register(client, characters[:100], f"{characters}@b")).status_code == 201, number
    assert await db.fetchval("select max(octet_length(folded(email))) from users") < 2704


async def test_names_and_addresses_are_found_by_an_index(db: Database) -> None:
    await db.execute("""
        insert into users (username, email, password_hash) select 'user' || n, n || '@x.org', ''
        from generate_series(1, 2000) as n
    """)
    await db.execute("analyze users")

    for query in (users.get_taken, users.find_account):
        text = users.queries.bound[query.__name__].text
        async with db.acquire() as connection:
            await connection.execute("set plan_cache_mode = force_generic_plan")
            await connection.execute(f"prepare query as {text}")
            nulls = ", ".join("null" for _ in users.queries.bound[query.__name__].parameters)
            plan = await connection.fetch(f"explain execute query({nulls})")
        assert "Seq Scan" not in str(plan)
        assert "folded_key" in str(plan)


ODD = [
    "%2F", "%2e", "%2E%2E", "%", "%%", "%25", "a%2Fb", "%00", "...", ".a", "a.", "..a", ".. ", "a..b",
    "\\", "a\\b", "..\\..", "\\\\server", "?", "a?b", "#", "a#b", ";", "a;b=c", ":", "http:", "@", "&", "=", "+", "a+b",
    " a", "a ", "a  b", "\ta", "a\n", "\na", "a\r\nb", "a\x01b", "\x7fa", "a\x85b", "'", '"', "<b>", "{username}",
    "a\u200bb", "\u202eabc", "\ufeffa", "\u2215", "\uff0f", "\u2044", "\u2024", "\uff0e\uff0e", "\u0301", "\U0001f409",
    "\U0010ffff", "\uffff", "\ue000", "follow", "export", "*", "~", "null", "0", "-1", "[::1]", "a|b", "a^b", "`",
]  # fmt: skip


def test_every_name_that_is_accepted_has_a_path(database_url: str, tmp_path: Path) -> None:
    """Through a server, as browsers send it: what `encodeURIComponent` leaves, dots among it, is not escaped."""
    with service(folder=tmp_path, DATABASE_URL=database_url, SECRET_KEY="k" * 32, PASSWORD_WORKERS="2") as (_, client):
        accounts = [(name, f"{number}@x.org") for number, name in enumerate(ODD)]
        tokens: list[str] = []
        for username, email in accounts:
            account = {"username": username, "email": email, "password": "correct horse"}
            answer = client.post("/api/users", json={"user": account})
            assert answer.status_code == 201, (username, answer.text)
            tokens.append(answer.json()["user"]["token"])
        for (username, _), token in zip(accounts, reversed(tokens), strict=True):
            path = f"/api/profiles/{quote(username, safe=chr(45) + '_.!~*()' + chr(39))}"
            for method, suffix in (("GET", ""), ("POST", "/follow"), ("DELETE", "/follow")):
                answer = client.request(method, path + suffix, headers={"Authorization": f"Token {token}"})
                assert answer.status_code == 200, (username, answer.text)
                assert answer.json()["profile"]["username"] == username
