"""People as others see them, following, and the list of everybody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from app.db import Database
from tests.documented import fields_at_fault, outcome
from tests.handlers.people import Person

NOT_FOUND = (404, {"profile": ["not found"]})


async def profile(viewer: Person | httpx2.AsyncClient, username: str) -> dict[str, Any]:
    answer = await viewer.get(f"/api/profiles/{username}")
    assert answer.status_code == 200
    return answer.json()["profile"]


async def test_a_stranger_sees_a_profile_and_follows_nobody(
    client: httpx2.AsyncClient, ann: Person, bob: Person
) -> None:
    await ann.follows(bob)

    answer = await client.get("/api/profiles/bob")

    assert answer.status_code == 200
    assert answer.json() == {"profile": {"username": "bob", "bio": None, "image": None, "following": False}}


async def test_a_profile_shows_bio_and_image(client: httpx2.AsyncClient, ann: Person) -> None:
    await ann.put("/api/user", {"user": {"bio": "Dragons", "image": "https://images.example/ann.png"}})

    assert await profile(client, "ann") == {
        "username": "ann",
        "bio": "Dragons",
        "image": "https://images.example/ann.png",
        "following": False,
    }


async def test_following_answers_with_the_profile(ann: Person, bob: Person) -> None:
    answer = await ann.post("/api/profiles/bob/follow")

    assert answer.status_code == 200
    assert answer.json() == {"profile": {"username": "bob", "bio": None, "image": None, "following": True}}


async def test_following_is_seen_by_the_follower_alone(
    ann: Person, bob: Person, newcomer: Callable[[str], Awaitable[Person]]
) -> None:
    cleo = await newcomer("cleo")
    await ann.follows(bob)

    assert (await profile(ann, "bob"))["following"]
    assert not (await profile(ann, "cleo"))["following"]
    assert not (await profile(ann, "ann"))["following"]
    assert not (await profile(bob, "ann"))["following"]
    assert not (await profile(bob, "bob"))["following"]
    assert not (await profile(cleo, "bob"))["following"]


async def test_following_twice_is_following_once(ann: Person, bob: Person, db: Database) -> None:
    await ann.follows(bob)
    await ann.follows(bob)

    assert (await profile(ann, "bob"))["following"]
    assert await db.fetchval("select count(*) from follows") == 1
    await ann.delete("/api/profiles/bob/follow")
    assert not (await profile(ann, "bob"))["following"]


async def test_unfollowing_answers_with_the_profile(ann: Person, bob: Person) -> None:
    await ann.follows(bob)

    answer = await ann.delete("/api/profiles/bob/follow")

    assert answer.status_code == 200
    assert answer.json() == {"profile": {"username": "bob", "bio": None, "image": None, "following": False}}
    assert not (await profile(ann, "bob"))["following"]


async def test_unfollowing_somebody_who_was_not_followed_changes_nothing(
    ann: Person, bob: Person, newcomer: Callable[[str], Awaitable[Person]]
) -> None:
    await newcomer("cleo")
    await ann.follows(bob)

    answer = await ann.delete("/api/profiles/cleo/follow")

    assert answer.status_code == 200
    assert not answer.json()["profile"]["following"]
    assert (await profile(ann, "bob"))["following"]


async def test_unfollowing_leaves_the_other_followers(
    ann: Person, bob: Person, newcomer: Callable[[str], Awaitable[Person]]
) -> None:
    cleo = await newcomer("cleo")
    await ann.follows(bob)
    await cleo.follows(bob)

    await ann.delete("/api/profiles/bob/follow")

    assert not (await profile(ann, "bob"))["following"]
    assert (await profile(cleo, "bob"))["following"]


async def test_a_profile_that_does_not_exist_is_not_found(client: httpx2.AsyncClient, ann: Person) -> None:
    assert outcome(await client.get("/api/profiles/nobody")) == NOT_FOUND
    assert outcome(await ann.get("/api/profiles/nobody")) == NOT_FOUND
    assert outcome(await ann.post("/api/profiles/nobody/follow")) == NOT_FOUND
    assert outcome(await ann.delete("/api/profiles/nobody/follow")) == NOT_FOUND


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("username", ["bob", "nobody"])
async def test_a_stranger_is_refused_before_the_profile_is_looked_up(
    client: httpx2.AsyncClient, bob: Person, method: str, username: str
) -> None:
    answer = await client.request(method, f"/api/profiles/{username}/follow")

    assert outcome(answer) == (401, {"token": ["is missing"]})


async def test_a_username_in_a_path_may_be_any_text(client: httpx2.AsyncClient, ann: Person) -> None:
    for username in ("Zoë Ångström", "100%", "a?b#c", "50%25", "鈴木", "a+b", "'; drop table users"):
        account = {
            "username": username,
            "email": f"{len(username)}{username[0]}@example.com",
            "password": "long enough",
        }
        assert (await client.post("/api/users", json={"user": account})).status_code == 201
        path = f"/api/profiles/{percent_encoded(username)}"

        assert (await client.get(path)).json()["profile"]["username"] == username
        assert (await ann.post(f"{path}/follow")).json()["profile"]["following"]


def percent_encoded(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


async def everybody(viewer: Person | httpx2.AsyncClient, limit: int) -> list[list[str]]:
    """The usernames of each page, following the Link header to the end."""
    answer = await viewer.get(f"/api/users?limit={limit}")
    pages = [[user["username"] for user in answer.json()["users"]]]
    while "next" in answer.links:
        answer = await viewer.get(answer.links["next"]["url"])
        assert answer.status_code == 200
        pages.append([user["username"] for user in answer.json()["users"]])
    return pages


async def test_the_list_of_users_shows_public_profiles_in_order_of_arrival(
    client: httpx2.AsyncClient, bob: Person, newcomer: Callable[[str], Awaitable[Person]]
) -> None:
    await newcomer("ann")
    await bob.put("/api/user", {"user": {"bio": "First"}})

    answer = await client.get("/api/users")

    assert answer.status_code == 200
    assert answer.json() == {
        "users": [
            {"username": "bob", "bio": "First", "image": None, "following": False},
            {"username": "ann", "bio": None, "image": None, "following": False},
        ]
    }


async def test_the_list_of_users_knows_whom_its_viewer_follows(
    client: httpx2.AsyncClient, ann: Person, bob: Person
) -> None:
    await ann.follows(bob)

    async def followed(viewer: Person | httpx2.AsyncClient) -> list[str]:
        users = (await viewer.get("/api/users")).json()["users"]
        return [user["username"] for user in users if user["following"]]

    assert await followed(ann) == ["bob"]
    assert await followed(bob) == []
    assert await followed(client) == []


async def test_pages_of_users_neither_repeat_nor_skip(client: httpx2.AsyncClient, db: Database) -> None:
    await add_users(db, 4)

    assert await everybody(client, limit=1) == [["u1"], ["u2"], ["u3"], ["u4"]]
    assert await everybody(client, limit=2) == [["u1", "u2"], ["u3", "u4"]]
    assert await everybody(client, limit=3) == [["u1", "u2", "u3"], ["u4"]]
    assert await everybody(client, limit=4) == [["u1", "u2", "u3", "u4"]]
    assert await everybody(client, limit=100) == [["u1", "u2", "u3", "u4"]]


async def test_a_page_of_users_has_twenty(client: httpx2.AsyncClient, db: Database) -> None:
    await add_users(db, 21)

    answer = await client.get("/api/users")

    assert len(answer.json()["users"]) == 20
    assert "next" in answer.links


async def test_a_user_who_arrives_between_two_pages_comes_last(
    client: httpx2.AsyncClient, db: Database, newcomer: Callable[[str], Awaitable[Person]]
) -> None:
    await add_users(db, 3)
    first = await client.get("/api/users?limit=2")
    await newcomer("late")

    second = await client.get(first.links["next"]["url"])

    assert [user["username"] for user in second.json()["users"]] == ["u3", "late"]


async def test_a_list_of_nobody_is_empty(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/users")

    assert answer.json() == {"users": []}
    assert "next" not in answer.links


async def test_a_page_of_users_has_one_to_a_hundred(client: httpx2.AsyncClient) -> None:
    for limit in ("0", "101", "-1", "1.5", "abc", "", "1_0", "\uff11", "9223372036854775808"):
        answer = await client.get("/api/users", params={"limit": limit})
        assert fields_at_fault(answer) == (422, {"limit"}), limit


async def test_a_garbled_cursor_of_users_is_refused(client: httpx2.AsyncClient) -> None:
    for cursor in ("", "garbage!", "AAAA", "-1", "é", "%", "\x00", "9" * 30, "a" * 5000):
        answer = await client.get("/api/users", params={"cursor": cursor})
        assert fields_at_fault(answer) == (422, {"cursor"}), cursor


async def add_users(db: Database, count: int) -> None:
    """Add u1, u2 and so on; nobody has to log in as one of them."""
    await db.execute(
        """
        insert into users (username, email, password_hash)
        select 'u' || n, 'u' || n || '@example.com', '' from generate_series(1, $1::int) as n order by n
        """,
        count,
    )
