"""Articles: publishing, reading, changing and deleting them."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from app.db import Database
from tests.documented import fields_at_fault, outcome
from tests.handlers.people import Person

BLANK = ["can't be blank"]
NOT_FOUND = (404, {"article": ["not found"]})
FORBIDDEN = (403, {"article": ["forbidden"]})
TOKEN_MISSING = (401, {"token": ["is missing"]})
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NEW = {"title": "How to train your dragon", "description": "Ever wonder how?", "body": "You have to believe"}
NOT_STRINGS: list[object] = [5, 1.5, True, [], ["a"], {}]
BLANKS = ["", " ", "\t\n"]
BAD_TAGS: list[object] = [None, "dragons", 5, {}, [1], [None], [["a"]], ["good", ""], ["good", "  "], ["x" * 101]]


async def publish(author: Person, **changes: Any) -> httpx2.Response:
    """Publish an article with other values for some fields; a value of ... leaves the field out."""
    fields = {field: value for field, value in {**NEW, **changes}.items() if value is not ...}
    return await author.post("/api/articles", {"article": fields})


async def change(editor: Person, article: dict[str, Any], **fields: Any) -> httpx2.Response:
    return await editor.put(f"/api/articles/{article['slug']}", {"article": fields})


async def grow_old(db: Database) -> None:
    """Move every article a day into the past, so that a change of updatedAt cannot be missed."""
    await db.execute("update articles set created_at = now() - interval '1 day', updated_at = now() - interval '1 day'")


async def test_publishing_answers_with_the_article(ann: Person) -> None:
    answer = await publish(ann, tagList=["dragons", "training"])

    assert answer.status_code == 201
    assert answer.json().keys() == {"article"}
    article = answer.json()["article"]
    assert re.fullmatch(r"how-to-train-your-dragon-\d+", article.pop("slug"))
    assert TIMESTAMP.fullmatch(article["createdAt"])
    assert article.pop("createdAt") == article.pop("updatedAt")
    author = article.pop("author")
    assert (author["username"], author["following"]) == ("ann", False)
    assert article == {**NEW, "tagList": ["dragons", "training"], "favorited": False, "favoritesCount": 0}


async def test_an_article_reads_the_same_for_everyone_who_did_nothing_with_it(
    client: httpx2.AsyncClient, ann: Person, bob: Person, article: dict[str, Any], other_article: dict[str, Any]
) -> None:
    for reader in (ann, bob, client):
        answer = await reader.get(f"/api/articles/{article['slug']}")
        assert answer.status_code == 200
        assert answer.json() == {"article": article}


async def test_an_article_knows_what_its_reader_did(
    client: httpx2.AsyncClient, ann: Person, bob: Person, article: dict[str, Any], other_article: dict[str, Any]
) -> None:
    await bob.follows(ann)
    await bob.favorites(article)

    seen = await bob.reads(article)
    assert (seen["favorited"], seen["favoritesCount"], seen["author"]["following"]) == (True, 1, True)
    seen = await bob.reads(other_article)
    assert (seen["favorited"], seen["favoritesCount"], seen["author"]["following"]) == (False, 0, True)
    seen = await ann.reads(article)
    assert (seen["favorited"], seen["favoritesCount"], seen["author"]["following"]) == (False, 1, False)
    seen = (await client.get(f"/api/articles/{article['slug']}")).json()["article"]
    assert (seen["favorited"], seen["favoritesCount"], seen["author"]["following"]) == (False, 1, False)


@pytest.mark.parametrize("field", ["title", "description", "body"])
async def test_publishing_needs_every_field(ann: Person, db: Database, field: str) -> None:
    for value in (..., *BLANKS):
        assert outcome(await publish(ann, **{field: value})) == (422, {field: BLANK}), value
    assert await db.fetchval("select count(*) from articles") == 0


async def test_publishing_says_everything_that_is_missing_at_once(ann: Person) -> None:
    answer = await ann.post("/api/articles", {"article": {}})

    assert outcome(answer) == (422, {"title": BLANK, "description": BLANK, "body": BLANK})


@pytest.mark.parametrize("field", ["title", "description", "body"])
async def test_publishing_takes_nothing_but_strings(ann: Person, db: Database, field: str) -> None:
    for value in (None, *NOT_STRINGS):
        assert fields_at_fault(await publish(ann, **{field: value})) == (422, {field}), value
    assert await db.fetchval("select count(*) from articles") == 0


async def test_publishing_refuses_what_is_no_list_of_tags(ann: Person, db: Database) -> None:
    for tags in BAD_TAGS:
        assert fields_at_fault(await publish(ann, tagList=tags)) == (422, {"tagList"}), tags
    assert await db.fetchval("select count(*) from articles") == 0
    assert await db.fetchval("select count(*) from article_tags") == 0


async def test_a_title_has_at_most_three_hundred_characters(ann: Person, db: Database) -> None:
    assert (await publish(ann, title="t" * 300)).status_code == 201
    assert fields_at_fault(await publish(ann, title="t" * 301)) == (422, {"title"})
    assert await db.fetchval("select count(*) from articles") == 1


async def test_an_article_can_be_long(ann: Person) -> None:
    body = ("Believe. " * 12_000)[:100_000]

    article = await ann.writes(body=body, description=body[:1000])

    assert (await ann.reads(article))["body"] == body


async def test_tags_come_back_sorted_and_without_repeats(ann: Person) -> None:
    tags = ["b", "a", "é", "B", "b", "a c", "x" * 100, "1"]

    article = await ann.writes(tagList=tags)

    assert article["tagList"] == sorted(set(tags))
    assert (await ann.reads(article))["tagList"] == sorted(set(tags))


async def test_tags_are_trimmed_before_repeats_are_dropped(ann: Person) -> None:
    tags = [" dragons", "dragons\t", "dragons", "\u00a0two words\u3000", "\n\x1cwords", "words"]

    article = await ann.writes(tagList=tags)
    changed = await change(ann, await ann.writes(), tagList=tags)

    assert article["tagList"] == ["dragons", "two words", "words"]
    assert changed.json()["article"]["tagList"] == ["dragons", "two words", "words"]
    assert (await ann.get("/api/tags")).json() == {"tags": ["dragons", "two words", "words"]}


async def test_an_article_has_at_most_a_hundred_tags(ann: Person, db: Database) -> None:
    tags = [f"{number:03}" for number in range(101)]

    assert (await publish(ann, tagList=tags[:100])).json()["article"]["tagList"] == tags[:100]
    assert fields_at_fault(await publish(ann, tagList=tags)) == (422, {"tagList"})
    assert await db.fetchval("select count(*) from articles") == 1


@pytest.mark.parametrize("tags", [..., []], ids=["absent", "empty"])
async def test_an_article_needs_no_tags(ann: Person, tags: object) -> None:
    answer = await publish(ann, tagList=tags)

    assert answer.status_code == 201
    assert answer.json()["article"]["tagList"] == []


async def test_titles_may_repeat_and_slugs_do_not(ann: Person, bob: Person) -> None:
    first, second, third = await ann.writes("Dragons"), await ann.writes("Dragons"), await bob.writes("Dragons")

    assert len({first["slug"], second["slug"], third["slug"]}) == 3
    assert [(await ann.reads(article))["author"]["username"] for article in (first, second, third)] == [
        "ann",
        "ann",
        "bob",
    ]


async def test_slugs_stay_readable_in_every_script(client: httpx2.AsyncClient, ann: Person) -> None:
    for title, word in (
        ("Дракон и рыцарь", "дракон"),
        ("日本語のタイトル", "日本語のタイトル"),
        ("Ærø Ångström", "ærø"),
        ("كيف تدرب تنينك", "كيف"),
    ):
        article = await ann.writes(title)
        assert word in article["slug"]
        assert re.search(r"-\d+$", article["slug"])
        encoded = "".join(f"%{byte:02x}" for byte in article["slug"].encode())
        assert (await client.get(f"/api/articles/{encoded}")).json()["article"]["title"] == title


async def test_every_title_makes_a_slug_that_leads_back(ann: Person) -> None:
    letters = ["\ufdfa" * 300, "ß" * 300, "日" * 300, "a" * 299 + " "]
    for title in ("???", "-", "a/b", "../feed", "feed", "🐉🐉", *letters):
        article = await ann.writes(title)
        assert re.fullmatch(r"[^/?#%\s]+", article["slug"]), title
        assert (await ann.reads(article))["title"] == title


async def test_an_article_that_does_not_exist_is_not_found(
    client: httpx2.AsyncClient, ann: Person, article: dict[str, Any]
) -> None:
    for path in ("/api/articles/no-such-article", "/api/articles/no-such-article-1"):
        assert outcome(await client.get(path)) == NOT_FOUND
        assert outcome(await ann.get(path)) == NOT_FOUND
        assert outcome(await ann.put(path, {"article": {"body": "New"}})) == NOT_FOUND
        assert outcome(await ann.delete(path)) == NOT_FOUND


async def test_a_slug_is_more_than_its_number(client: httpx2.AsyncClient, article: dict[str, Any]) -> None:
    number = article["slug"].rpartition("-")[2]

    assert outcome(await client.get(f"/api/articles/other-{number}")) == NOT_FOUND
    assert outcome(await client.get(f"/api/articles/{number}")) == NOT_FOUND


@pytest.mark.parametrize("field", ["description", "body"])
async def test_one_field_changes_and_the_rest_of_the_article_stays(
    ann: Person, article: dict[str, Any], other_article: dict[str, Any], field: str
) -> None:
    answer = await change(ann, article, **{field: "Entirely new"})

    assert answer.status_code == 200
    changed = answer.json()["article"]
    assert {**changed, "updatedAt": ""} == {**article, field: "Entirely new", "updatedAt": ""}
    assert await ann.reads(article) == changed
    assert await ann.reads(other_article) == other_article


async def test_a_new_title_makes_a_new_slug_and_the_old_one_is_gone(
    ann: Person, bob: Person, article: dict[str, Any], other_article: dict[str, Any]
) -> None:
    await bob.favorites(article)
    comment = await bob.comments(article)

    answer = await change(ann, article, title="How to tame it")

    assert answer.status_code == 200
    changed = answer.json()["article"]
    assert re.fullmatch(r"how-to-tame-it-\d+", changed["slug"])
    assert changed["title"] == "How to tame it"
    assert changed["body"] == article["body"]
    assert changed["tagList"] == article["tagList"]
    assert changed["favoritesCount"] == 1
    assert outcome(await ann.get(f"/api/articles/{article['slug']}")) == NOT_FOUND
    assert await ann.reads(changed) == changed
    comments = (await ann.get(f"/api/articles/{changed['slug']}/comments")).json()["comments"]
    assert [row["id"] for row in comments] == [comment["id"]]
    assert await ann.reads(other_article) == other_article


async def test_the_same_title_keeps_the_slug(ann: Person, article: dict[str, Any]) -> None:
    answer = await change(ann, article, title=article["title"], body="New")

    assert answer.json()["article"]["slug"] == article["slug"]


async def test_a_title_can_become_that_of_another_article(
    ann: Person, article: dict[str, Any], other_article: dict[str, Any]
) -> None:
    answer = await change(ann, article, title=other_article["title"])

    assert answer.status_code == 200
    assert answer.json()["article"]["slug"] != other_article["slug"]
    assert await ann.reads(other_article) == other_article


@pytest.mark.parametrize(
    "fields", [{"title": "New"}, {"description": "New"}, {"body": "New"}, {"tagList": ["new"]}, {"tagList": []}]
)
async def test_updated_at_changes_when_the_article_does(
    ann: Person, article: dict[str, Any], db: Database, fields: dict[str, Any]
) -> None:
    await grow_old(db)
    before = await ann.reads(article)

    after = (await change(ann, article, **fields)).json()["article"]

    assert TIMESTAMP.fullmatch(after["updatedAt"])
    assert after["updatedAt"] > before["updatedAt"]
    assert after["createdAt"] == before["createdAt"]
    assert (await ann.reads(after))["updatedAt"] == after["updatedAt"]


async def test_updated_at_stays_when_others_comment_and_favorite(
    ann: Person, bob: Person, article: dict[str, Any], db: Database
) -> None:
    await grow_old(db)
    before = await ann.reads(article)

    await bob.comments(article)
    await bob.favorites(article)

    assert (await ann.reads(article))["updatedAt"] == before["updatedAt"]


@pytest.mark.parametrize("fields", [{}, {"unknown": 1, "slug": "mine", "favoritesCount": 9}], ids=["none", "unknown"])
async def test_an_update_of_nothing_changes_nothing(
    ann: Person, article: dict[str, Any], db: Database, fields: dict[str, Any]
) -> None:
    await grow_old(db)
    before = await ann.reads(article)

    answer = await change(ann, article, **fields)

    assert answer.status_code == 200
    assert answer.json() == {"article": before}
    assert await ann.reads(article) == before


async def test_an_update_without_tags_leaves_them(ann: Person, article: dict[str, Any]) -> None:
    answer = await change(ann, article, body="New")

    assert answer.json()["article"]["tagList"] == ["dragons", "training"]


async def test_an_update_with_tags_replaces_them(
    ann: Person, article: dict[str, Any], other_article: dict[str, Any]
) -> None:
    answer = await change(ann, article, tagList=["zebra", "dragons", "apple", "zebra"])

    assert answer.json()["article"]["tagList"] == ["apple", "dragons", "zebra"]
    assert (await ann.reads(article))["tagList"] == ["apple", "dragons", "zebra"]
    assert (await ann.reads(other_article))["tagList"] == ["coffee"]


async def test_an_update_with_an_empty_tag_list_removes_all(
    ann: Person, article: dict[str, Any], other_article: dict[str, Any]
) -> None:
    answer = await change(ann, article, tagList=[])

    assert answer.json()["article"]["tagList"] == []
    assert (await ann.reads(article))["tagList"] == []
    assert (await ann.reads(other_article))["tagList"] == ["coffee"]


async def test_an_update_refuses_what_is_no_list_of_tags(ann: Person, article: dict[str, Any]) -> None:
    for tags in BAD_TAGS:
        answer = await change(ann, article, title="Must not be stored", tagList=tags)
        assert fields_at_fault(answer) == (422, {"tagList"}), tags
    assert await ann.reads(article) == article


@pytest.mark.parametrize("field", ["title", "description", "body"])
async def test_an_update_refuses_blanks(ann: Person, article: dict[str, Any], field: str) -> None:
    for value in BLANKS:
        answer = await change(ann, article, **{"tagList": ["new"], field: value})
        assert outcome(answer) == (422, {field: BLANK}), value
    assert await ann.reads(article) == article


@pytest.mark.parametrize("field", ["title", "description", "body"])
async def test_an_update_takes_nothing_but_strings(ann: Person, article: dict[str, Any], field: str) -> None:
    for value in (None, *NOT_STRINGS):
        answer = await change(ann, article, **{"tagList": ["new"], field: value})
        assert fields_at_fault(answer) == (422, {field}), value
    assert await ann.reads(article) == article


async def test_an_update_refuses_a_title_that_is_too_long(ann: Person, article: dict[str, Any]) -> None:
    answer = await change(ann, article, tagList=["new"], title="t" * 301)

    assert fields_at_fault(answer) == (422, {"title"})
    assert await ann.reads(article) == article


async def test_nobody_changes_the_article_of_another(ann: Person, bob: Person, article: dict[str, Any]) -> None:
    assert outcome(await change(bob, article, title="Mine now", tagList=[])) == FORBIDDEN
    assert await ann.reads(article) == article


async def test_nobody_deletes_the_article_of_another(ann: Person, bob: Person, article: dict[str, Any]) -> None:
    assert outcome(await bob.delete(f"/api/articles/{article['slug']}")) == FORBIDDEN
    assert await ann.reads(article) == article


async def test_a_stranger_publishes_changes_and_deletes_nothing(
    client: httpx2.AsyncClient, ann: Person, article: dict[str, Any], db: Database
) -> None:
    path = f"/api/articles/{article['slug']}"

    assert outcome(await client.post("/api/articles", json={"article": NEW})) == TOKEN_MISSING
    assert outcome(await client.put(path, json={"article": {"body": "New"}})) == TOKEN_MISSING
    assert outcome(await client.delete(path)) == TOKEN_MISSING
    assert await ann.reads(article) == article
    assert await db.fetchval("select count(*) from articles") == 1


async def test_the_token_is_checked_first_then_existence_then_ownership_then_the_body(
    client: httpx2.AsyncClient, ann: Person, bob: Person, article: dict[str, Any]
) -> None:
    invalid = {"article": {"title": ""}}
    missing, existing = "/api/articles/no-such-article-1", f"/api/articles/{article['slug']}"

    assert outcome(await client.post("/api/articles", json=invalid)) == TOKEN_MISSING
    assert outcome(await client.put(missing, json=invalid)) == TOKEN_MISSING
    assert outcome(await client.delete(missing)) == TOKEN_MISSING
    assert outcome(await ann.put(missing, invalid)) == NOT_FOUND
    assert outcome(await bob.put(existing, invalid)) == FORBIDDEN
    assert outcome(await ann.put(existing, invalid)) == (422, {"title": BLANK})


async def test_deleting_an_article_removes_it_and_all_that_belongs_to_it(
    ann: Person, bob: Person, article: dict[str, Any], other_article: dict[str, Any], db: Database
) -> None:
    for kept_or_not in (article, other_article):
        await bob.favorites(kept_or_not)
        await bob.comments(kept_or_not)
    before = await bob.reads(other_article)

    answer = await ann.delete(f"/api/articles/{article['slug']}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert outcome(await ann.get(f"/api/articles/{article['slug']}")) == NOT_FOUND
    assert outcome(await ann.delete(f"/api/articles/{article['slug']}")) == NOT_FOUND
    assert await bob.reads(other_article) == before
    for table in ("articles", "article_tags", "favorites", "comments"):
        assert await db.fetchval(f"select count(*) from {table}") == 1


async def test_null_reads_as_blank_and_a_number_is_no_text(ann: Person) -> None:
    answer = await ann.post("/api/articles", {"article": {"title": None, "description": 5, "body": "Text"}})

    assert outcome(answer) == (422, {"title": BLANK, "description": ["must be a string"]})


async def test_who_asks_comes_before_what_they_ask(ann: Person, db: Database) -> None:
    await db.execute("delete from users")

    assert outcome(await ann.post("/api/articles", {"article": {}})) == (401, {"token": ["is invalid"]})
