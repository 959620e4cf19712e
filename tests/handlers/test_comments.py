"""Comments on articles."""

from __future__ import annotations

import re
from typing import Any

import httpx2

from app.db import Database
from tests.documented import fields_at_fault, outcome
from tests.handlers.people import Person

Article = dict[str, Any]
BLANK = ["can't be blank"]
ARTICLE_NOT_FOUND = (404, {"article": ["not found"]})
COMMENT_NOT_FOUND = (404, {"comment": ["not found"]})
FORBIDDEN = (403, {"comment": ["forbidden"]})
TOKEN_MISSING = (401, {"token": ["is missing"]})
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
MISSING = "/api/articles/no-such-article-1/comments"


def path_of(article: Article) -> str:
    return f"/api/articles/{article['slug']}/comments"


async def listed(reader: Person | httpx2.AsyncClient, article: Article) -> list[dict[str, Any]]:
    answer = await reader.get(path_of(article))
    assert answer.status_code == 200
    assert answer.json().keys() == {"comments"}
    return answer.json()["comments"]


async def test_commenting_answers_with_the_comment(
    ann: Person, bob: Person, article: Article, other_article: Article
) -> None:
    answer = await bob.post(path_of(article), {"comment": {"body": "So true"}})

    assert answer.status_code == 201
    assert answer.json().keys() == {"comment"}
    comment = answer.json()["comment"]
    assert isinstance(comment.pop("id"), int)
    assert TIMESTAMP.fullmatch(comment["createdAt"])
    assert comment.pop("createdAt") == comment.pop("updatedAt")
    author = comment.pop("author")
    assert (author["username"], author["following"]) == ("bob", False)
    assert comment == {"body": "So true"}


async def test_comments_are_listed_newest_first_with_their_article(
    client: httpx2.AsyncClient, ann: Person, bob: Person, article: Article, other_article: Article
) -> None:
    first = await ann.comments(article, "First")
    elsewhere = await ann.comments(other_article, "Elsewhere")
    second = await bob.comments(article, "Second")

    for reader in (client, ann, bob):
        assert await listed(reader, article) == [second, first]
        assert await listed(reader, other_article) == [elsewhere]


async def test_an_article_nobody_commented_on_has_no_comments(client: httpx2.AsyncClient, article: Article) -> None:
    assert await listed(client, article) == []


async def test_comments_know_whom_their_reader_follows(
    client: httpx2.AsyncClient, ann: Person, bob: Person, article: Article
) -> None:
    await bob.follows(ann)
    await ann.comments(article)
    await bob.comments(article)

    async def following(reader: Person | httpx2.AsyncClient) -> dict[str, bool]:
        return {row["author"]["username"]: row["author"]["following"] for row in await listed(reader, article)}

    assert await following(bob) == {"ann": True, "bob": False}
    assert await following(ann) == {"ann": False, "bob": False}
    assert await following(client) == {"ann": False, "bob": False}


async def test_a_comment_needs_a_body(ann: Person, article: Article) -> None:
    blanks: list[dict[str, str]] = [{}, {"body": ""}, {"body": "  "}, {"body": "\n\t"}]
    for comment in blanks:
        assert outcome(await ann.post(path_of(article), {"comment": comment})) == (422, {"body": BLANK}), comment
    assert await listed(ann, article) == []


async def test_the_body_of_a_comment_is_a_string(ann: Person, article: Article) -> None:
    not_strings: list[object] = [None, 5, True, [], ["text"], {}]
    for body in not_strings:
        answer = await ann.post(path_of(article), {"comment": {"body": body}})
        assert fields_at_fault(answer) == (422, {"body"}), body
    assert await listed(ann, article) == []


async def test_deleting_a_comment_leaves_the_others(ann: Person, bob: Person, article: Article) -> None:
    first, second = await bob.comments(article, "First"), await bob.comments(article, "Second")

    answer = await bob.delete(f"{path_of(article)}/{first['id']}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert await listed(bob, article) == [second]
    assert outcome(await bob.delete(f"{path_of(article)}/{first['id']}")) == COMMENT_NOT_FOUND


async def test_nobody_deletes_the_comment_of_another_not_even_the_articles_author(
    ann: Person, bob: Person, article: Article
) -> None:
    by_bob, by_ann = await bob.comments(article), await ann.comments(article)

    assert outcome(await ann.delete(f"{path_of(article)}/{by_bob['id']}")) == FORBIDDEN
    assert outcome(await bob.delete(f"{path_of(article)}/{by_ann['id']}")) == FORBIDDEN
    assert await listed(ann, article) == [by_ann, by_bob]


async def test_a_comment_of_another_article_is_not_found(
    ann: Person, bob: Person, article: Article, other_article: Article
) -> None:
    comment = await bob.comments(article)

    for person in (ann, bob):
        assert outcome(await person.delete(f"{path_of(other_article)}/{comment['id']}")) == COMMENT_NOT_FOUND
    assert await listed(bob, article) == [comment]


async def test_a_comment_that_cannot_exist_is_not_found(ann: Person, article: Article) -> None:
    comment = await ann.comments(article)

    for odd in ("abc", "1.5", "-1", "0", "1_0", "1e0", "9223372036854775807", "9223372036854775808", "9" * 5000):
        assert outcome(await ann.delete(f"{path_of(article)}/{odd}")) == COMMENT_NOT_FOUND, odd
    # Digits of another script, which int() would take.
    other_script = str(comment["id"]).translate({ord("0") + n: f"%EF%BC%{0x90 + n:X}" for n in range(10)})
    assert outcome(await ann.delete(f"{path_of(article)}/{other_script}")) == COMMENT_NOT_FOUND
    assert await listed(ann, article) == [comment]


async def test_comments_of_an_article_that_does_not_exist_are_not_found(
    client: httpx2.AsyncClient, ann: Person, article: Article
) -> None:
    comment = await ann.comments(article)

    assert outcome(await client.get(MISSING)) == ARTICLE_NOT_FOUND
    assert outcome(await ann.get(MISSING)) == ARTICLE_NOT_FOUND
    assert outcome(await ann.delete(f"{MISSING}/{comment['id']}")) == ARTICLE_NOT_FOUND
    assert outcome(await ann.delete(f"{MISSING}/abc")) == ARTICLE_NOT_FOUND


async def test_the_token_is_checked_first_then_existence_then_ownership(
    client: httpx2.AsyncClient, ann: Person, bob: Person, article: Article, other_article: Article
) -> None:
    comment = await bob.comments(article)

    assert outcome(await client.post(MISSING, json={"comment": {}})) == TOKEN_MISSING
    assert outcome(await client.post(path_of(article), json={"comment": {}})) == TOKEN_MISSING
    assert outcome(await client.delete(f"{MISSING}/abc")) == TOKEN_MISSING
    assert outcome(await client.delete(f"{path_of(article)}/{comment['id']}")) == TOKEN_MISSING
    assert outcome(await ann.post(MISSING, {"comment": {"body": ""}})) == ARTICLE_NOT_FOUND
    assert outcome(await ann.post(path_of(article), {"comment": {"body": ""}})) == (422, {"body": BLANK})
    assert outcome(await ann.delete(f"{MISSING}/{comment['id']}")) == ARTICLE_NOT_FOUND
    assert outcome(await ann.delete(f"{path_of(other_article)}/{comment['id']}")) == COMMENT_NOT_FOUND
    assert outcome(await ann.delete(f"{path_of(article)}/{comment['id']}")) == FORBIDDEN
    assert await listed(bob, article) == [comment]


async def test_a_refused_comment_is_not_stored(ann: Person, article: Article, db: Database) -> None:
    await ann.post(path_of(article), {"comment": {"body": ""}})
    await ann.post(MISSING, {"comment": {"body": "Lost"}})

    assert await db.fetchval("select count(*) from comments") == 0
