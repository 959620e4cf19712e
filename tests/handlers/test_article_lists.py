"""The list of articles: order, filters, pages by offset and by cursor."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from app.db import Database
from tests.documented import fields_at_fault, outcome
from tests.handlers.people import Person

Reader = Person | httpx2.AsyncClient

NOT_A_LIMIT = ["0", "101", "-1", "1.5", "abc", "", "1_0", " 1", "\uff11", "1e1", "9223372036854775808", "9" * 5000]
NOT_AN_OFFSET = ["-1", "1.5", "abc", "", "1_0", " 1", "\uff11", "9223372036854775808", "9" * 5000]
NOT_A_CURSOR = ["", "garbage!", "AAAA", "-1", "é", "%", "\x00", "9" * 30, "a" * 5000]

# A query, and the titles that match it, newest first.
MATCHES: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["Fourth", "Third", "Second", "First"]),
    ({"tag": "dragons"}, ["Second", "First"]),
    ({"tag": "old"}, ["First"]),
    ({"tag": " old\u3000"}, ["First"]),
    ({"author": "ann"}, ["Third", "First"]),
    ({"author": "bob"}, ["Fourth", "Second"]),
    ({"favorited": "bob"}, ["Third", "First"]),
    ({"favorited": "ann"}, ["Third"]),
    ({"tag": "dragons", "author": "ann"}, ["First"]),
    ({"tag": "dragons", "author": "bob"}, ["Second"]),
    ({"tag": "coffee", "author": "bob"}, []),
    ({"tag": "dragons", "favorited": "bob"}, ["First"]),
    ({"tag": "dragons", "favorited": "ann"}, []),
    ({"author": "ann", "favorited": "ann"}, ["Third"]),
    ({"author": "bob", "favorited": "bob"}, []),
    ({"tag": "old", "author": "ann", "favorited": "bob"}, ["First"]),
    ({"tag": "old", "author": "ann", "favorited": "ann"}, []),
    ({"tag": "unknown"}, []),
    ({"tag": "Dragons"}, []),
    ({"tag": "dragon"}, []),
    ({"tag": "%"}, []),
    ({"author": "nobody"}, []),
    ({"author": "ANN"}, []),
    ({"favorited": "nobody"}, []),
    ({"tag": "'; drop table articles; --"}, []),
    ({"unknown": "ignored"}, ["Fourth", "Third", "Second", "First"]),
]


async def listed(reader: Reader, **filters: str | int) -> tuple[list[str], int]:
    """The titles of a page, and the count of all matches."""
    answer = await reader.get("/api/articles", params=filters)
    assert answer.status_code == 200, answer.text
    return [article["title"] for article in answer.json()["articles"]], answer.json()["articlesCount"]


async def walked(reader: Reader, path: str) -> list[list[str]]:
    """The titles of each page, following the Link header to the end."""
    pages: list[list[str]] = []
    while path:
        answer = await reader.get(path)
        assert answer.status_code == 200, answer.text
        pages.append([article["title"] for article in answer.json()["articles"]])
        path = answer.links.get("next", {}).get("url", "")
    return pages


async def add_articles(db: Database, count: int, tag: str = "bulk") -> None:
    """Add articles 1, 2 and so on by one more author, all published at the same moment."""
    await db.execute(
        """
        with author as (
            insert into users (username, email, password_hash) values ('writer', 'writer@example.com', '')
            on conflict (username) do update set username = excluded.username
            returning id
        )
        insert into articles (author_id, slug_words, title, description, body, tags)
        select author.id, number::text, number::text, 'About', 'Text', array[$2]
        from author, generate_series(1, $1::int) as series (number)
        order by series.number
        """,
        count,
        tag,
    )


@pytest.fixture
async def library(ann: Person, bob: Person) -> None:
    """Four articles by two people; bob likes the first and the third, ann the third."""
    first = await ann.writes("First", tagList=["dragons", "old"])
    await bob.writes("Second", tagList=["dragons"])
    third = await ann.writes("Third", tagList=["coffee"])
    await bob.writes("Fourth")
    await bob.favorites(first)
    await bob.favorites(third)
    await ann.favorites(third)


async def test_a_list_shows_articles_without_their_text(
    client: httpx2.AsyncClient, ann: Person, article: dict[str, Any], other_article: dict[str, Any]
) -> None:
    answer = await client.get("/api/articles")

    assert answer.status_code == 200
    for expected in (article, other_article):
        del expected["body"]
    assert answer.json() == {"articles": [other_article, article], "articlesCount": 2}


async def test_an_empty_list_is_empty(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/api/articles")).json() == {"articles": [], "articlesCount": 0}


@pytest.mark.usefixtures("library")
async def test_filters_combine_and_the_newest_comes_first(client: httpx2.AsyncClient, ann: Person, bob: Person) -> None:
    for filters, titles in MATCHES:
        for reader in (client, ann, bob):
            assert await listed(reader, **filters) == (titles, len(titles)), filters


@pytest.mark.usefixtures("library")
async def test_favorited_and_following_are_the_readers_in_every_list(
    client: httpx2.AsyncClient, ann: Person, bob: Person
) -> None:
    await bob.follows(ann)

    favorites = {client: set[str](), ann: {"Third"}, bob: {"First", "Third"}}
    followed = {client: set[str](), ann: set[str](), bob: {"ann"}}
    counts = {"First": 1, "Second": 0, "Third": 2, "Fourth": 0}

    for query in ("", "tag=dragons", "author=ann", "favorited=bob", "tag=dragons&author=ann"):
        for reader in (client, ann, bob):
            articles = (await reader.get(f"/api/articles?{query}")).json()["articles"]
            assert articles, query
            for row in articles:
                assert row["favorited"] == (row["title"] in favorites[reader])
                assert row["favoritesCount"] == counts[row["title"]]
                assert row["author"]["following"] == (row["author"]["username"] in followed[reader])


async def test_an_article_with_many_tags_and_favorites_is_listed_once_with_all_its_tags(
    client: httpx2.AsyncClient, ann: Person, bob: Person
) -> None:
    article = await ann.writes(tagList=["c", "a", "b"])
    await ann.favorites(article)
    await bob.favorites(article)

    for query in ("", "tag=b", "favorited=ann"):
        answer = await client.get(f"/api/articles?{query}")
        assert answer.json()["articlesCount"] == 1
        (row,) = answer.json()["articles"]
        assert (row["tagList"], row["favoritesCount"]) == (["a", "b", "c"], 2)


async def test_a_page_has_twenty_articles_and_the_count_is_of_all(client: httpx2.AsyncClient, db: Database) -> None:
    await add_articles(db, 23)

    titles, count = await listed(client)

    assert titles == [str(n) for n in range(23, 3, -1)]
    assert count == 23


async def test_limit_and_offset_choose_the_page(client: httpx2.AsyncClient, db: Database) -> None:
    await add_articles(db, 5)

    assert await listed(client, limit=2) == (["5", "4"], 5)
    assert await listed(client, limit=2, offset=2) == (["3", "2"], 5)
    assert await listed(client, limit=2, offset=4) == (["1"], 5)
    assert await listed(client, limit=2, offset=5) == ([], 5)
    assert await listed(client, limit=100, offset=1) == (["4", "3", "2", "1"], 5)
    assert await listed(client, offset=10**18) == ([], 5)
    assert await listed(client, tag="bulk", author="writer", limit=1, offset=1) == (["4"], 5)


async def test_a_page_has_at_most_a_hundred_articles(client: httpx2.AsyncClient, db: Database) -> None:
    await add_articles(db, 101)

    titles, count = await listed(client, limit=100)

    assert (len(titles), count) == (100, 101)


@pytest.mark.parametrize("path", ["/api/articles", "/api/articles/feed"])
async def test_a_page_that_cannot_be_is_refused(ann: Person, path: str) -> None:
    for parameter, values in (("limit", NOT_A_LIMIT), ("offset", NOT_AN_OFFSET), ("cursor", NOT_A_CURSOR)):
        for value in values:
            answer = await ann.get(path, {parameter: value})
            assert fields_at_fault(answer) == (422, {parameter}), value


async def test_a_blank_tag_to_filter_by_is_refused(client: httpx2.AsyncClient) -> None:
    for blank in ("", " ", "\t\u3000"):
        answer = await client.get("/api/articles", params={"tag": blank})
        assert outcome(answer) == (422, {"tag": ["can't be blank"]})


async def test_a_filter_with_a_nul_character_is_refused(client: httpx2.AsyncClient) -> None:
    for name in ("tag", "author", "favorited"):
        assert fields_at_fault(await client.get("/api/articles", params={name: "a\x00b"})) == (422, {name})


async def test_the_link_header_leads_through_every_article_once(client: httpx2.AsyncClient, db: Database) -> None:
    await add_articles(db, 5)

    for query, pages in (
        ("limit=2", ["5 4", "3 2", "1"]),
        ("limit=5", ["5 4 3 2 1"]),
        ("limit=4", ["5 4 3 2", "1"]),
        ("limit=1", ["5", "4", "3", "2", "1"]),
        ("", ["5 4 3 2 1"]),
        ("limit=2&offset=1", ["4 3", "2 1"]),
        ("limit=2&offset=7", [""]),
    ):
        assert await walked(client, f"/api/articles?{query}") == [page.split() for page in pages], query


async def test_the_link_header_leads_through_every_match_of_a_filter_once(
    client: httpx2.AsyncClient, ann: Person, db: Database
) -> None:
    await ann.writes("Older, of somebody else")
    await add_articles(db, 5)
    await ann.writes("Newer, of somebody else")
    await db.execute(
        "insert into favorites (user_id, article_id) select author_id, id from articles where title <= '5'"
    )

    for query in (
        "tag=bulk",
        "author=writer",
        "favorited=writer",
        "tag=bulk&author=writer",
        "tag=bulk&favorited=writer",
    ):
        pages = await walked(client, f"/api/articles?limit=3&{query}")
        assert pages == [["5", "4", "3"], ["2", "1"]], query


async def test_a_link_keeps_filters_with_odd_characters(client: httpx2.AsyncClient, ann: Person, db: Database) -> None:
    await ann.writes("Older, with another tag", tagList=["a"])
    await add_articles(db, 3, tag="a&limit=1 + 50% <é>;,")

    answer = await client.get("/api/articles", params={"tag": "a&limit=1 + 50% <é>;,", "limit": 2})

    assert answer.headers["link"].isascii()
    second = (await client.get(answer.links["next"]["url"])).json()
    assert [article["title"] for article in second["articles"]] == ["1"]
    assert second["articlesCount"] == 3


async def test_an_article_published_meanwhile_shifts_no_page_of_a_cursor(
    client: httpx2.AsyncClient, ann: Person, db: Database
) -> None:
    await add_articles(db, 4)
    first = await client.get("/api/articles?limit=2")
    await ann.writes("Breaking news")

    second = (await client.get(first.links["next"]["url"])).json()

    assert [article["title"] for article in second["articles"]] == ["2", "1"]
    assert second["articlesCount"] == 5


async def test_an_article_deleted_meanwhile_ends_no_walk(client: httpx2.AsyncClient, db: Database) -> None:
    await add_articles(db, 4)
    first = await client.get("/api/articles?limit=2")
    await db.execute("delete from articles where title in ('3', '2')")

    second = (await client.get(first.links["next"]["url"])).json()

    assert [article["title"] for article in second["articles"]] == ["1"]


async def test_every_page_of_a_cursor_counts_every_match(client: httpx2.AsyncClient, db: Database) -> None:
    await add_articles(db, 3)
    first = await client.get("/api/articles?limit=2&tag=bulk")

    second = await client.get(first.links["next"]["url"])

    assert (first.json()["articlesCount"], second.json()["articlesCount"]) == (3, 3)


async def test_a_cursor_marks_favorites_of_its_reader(ann: Person, bob: Person, article: dict[str, Any]) -> None:
    await bob.favorites(article)
    await bob.follows(ann)
    await ann.writes("Newer")
    first = await bob.get("/api/articles?limit=1")

    (row,) = (await bob.get(first.links["next"]["url"])).json()["articles"]

    assert (row["slug"], row["favorited"], row["author"]["following"]) == (article["slug"], True, True)


async def test_a_cursor_and_an_offset_exclude_each_other(client: httpx2.AsyncClient, db: Database) -> None:
    await add_articles(db, 3)
    first = await client.get("/api/articles?limit=1")
    following = httpx2.URL(first.links["next"]["url"]).params

    answer = await client.get("/api/articles", params={**following, "offset": "1"})

    assert fields_at_fault(answer) == (422, {"cursor"})
