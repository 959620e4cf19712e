"""The numbers and tags that triggers keep: always those of the rows, whoever writes at the same moment."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random

import pytest

from app.db import Database, NotFound
from app.repositories import articles, favorites
from app.repositories.articles import Filters, PageBounds
from tests.pgbouncer import is_in_between

NUMBERS = """
    select 'articles', '', coalesce(sum(articles), 0) from article_counts
    union all select 'author', author_id::text, sum(articles) from author_counts group by 2 having sum(articles) <> 0
    union all select 'tag', tag, sum(articles) from tag_counts group by 2 having sum(articles) <> 0
    union all select 'favorites', article_id::text, sum(favorites) from favorite_counts group by 2 having sum(favorites) <> 0
    union all select 'favorited', user_id::text, sum(favorites) from favorited_counts group by 2 having sum(favorites) <> 0
    union all select 'tagged', tag || article_id, 1 from article_tags
    union all select 'tags', tag, 1 from tags
    order by 1, 2
"""  # noqa: E501 - a table
ROWS = """
    select 'articles', '', count(*) from articles
    union all select 'author', author_id::text, count(*) from articles group by 2
    union all select 'tag', tag, count(*) from articles, unnest(tags) as tag group by 2
    union all select 'favorites', article_id::text, count(*) from favorites group by 2
    union all select 'favorited', user_id::text, count(*) from favorites group by 2
    union all select 'tagged', tag || id, 1 from articles, unnest(tags) as tag
    union all select 'tags', tag, 1 from (select distinct unnest(tags) as tag from articles) as used
    order by 1, 2
"""
TAGS = ["a", "b", "c", "d"]


async def assert_exact(db: Database) -> None:
    """The numbers that are kept are those of the rows."""
    assert [tuple(row) for row in await db.fetch(NUMBERS)] == [tuple(row) for row in await db.fetch(ROWS)]


async def add_users(db: Database, count: int) -> list[int]:
    rows = await db.fetch(
        "insert into users (username, email, password_hash) "
        "select 'user' || n, 'user' || n || '@example.com', '' from generate_series(1, $1::int) as n returning id",
        count,
    )
    return [row["id"] for row in rows]


class Writer:
    """A user who publishes, changes, deletes and favors at random. An article that is gone is no fault."""

    def __init__(self, db: Database, user: int, slugs: list[str], seed: int) -> None:
        self.db, self.user, self.slugs, self.random = db, user, slugs, Random(seed)

    async def write(self, steps: int) -> None:
        for _ in range(steps):
            step = self.random.choice([self.publish, self.publish, self.retag, self.favor, self.unfavor, self.delete])
            with suppress(NotFound):
                await step()

    def tags(self) -> list[str]:
        return sorted(self.random.sample(TAGS, self.random.randint(0, 3)))

    def slug(self) -> str:
        return self.random.choice(self.slugs) if self.slugs else ""

    async def publish(self) -> None:
        new = await articles.create_article(
            self.db,
            viewer_id=self.user,
            generation=0,
            slug_words="a",
            title="A",
            description="B",
            body="C",
            tags=self.tags(),
        )
        self.slugs.append(new.slug)

    async def retag(self) -> None:
        async with self.db.transaction() as tx:
            key = await articles.lock_article(tx, slug=self.slug(), viewer_id=self.user, generation=0)
            await articles.update_article(
                tx, article_id=key.id, slug_words=None, title=None, description=None, body="D", tags=self.tags()
            )

    async def favor(self) -> None:
        seen = await favorites.favorite(self.db, viewer_id=self.user, generation=0, slug=self.slug())
        assert seen.favorited
        assert seen.favorites_count >= 1

    async def unfavor(self) -> None:
        seen = await favorites.unfavorite(self.db, viewer_id=self.user, generation=0, slug=self.slug())
        assert not seen.favorited
        assert seen.favorites_count >= 0

    async def delete(self) -> None:
        key = await articles.get_article_key(self.db, slug=self.slug(), viewer_id=self.user, generation=0)
        await articles.delete_article(self.db, article_id=key.id)


async def test_the_numbers_are_exact_after_many_writers_and_none_of_them_deadlocks(
    db: Database, database_url: str
) -> None:
    slugs: list[str] = []
    users = await add_users(db, 6)
    # More writers than slots to begin with, and four tags that are often the last of their kind.
    async with Database(database_url, min_size=12, max_size=12, pgbouncer=is_in_between()) as many:
        writers = [Writer(many, users[n % 6], slugs, n) for n in range(12)]
        await asyncio.gather(*(writer.write(60) for writer in writers))

    await assert_exact(db)
    assert await db.fetchval("select deadlocks from pg_stat_database where datname = current_database()") == 0


async def test_deleted_accounts_and_articles_leave_no_numbers(db: Database) -> None:
    users, slugs = await add_users(db, 4), list[str]()
    for n, user in enumerate(users):
        await Writer(db, user, slugs, n).write(40)

    await db.execute("delete from users where id = any ($1)", users[:2])
    await assert_exact(db)
    await db.execute("delete from articles")
    await assert_exact(db)
    for table in ("author_counts", "favorite_counts", "favorited_counts"):
        await db.execute("delete from users")
        assert await db.fetchval(f"select count(*) from {table}") == 0


async def test_emptied_tables_have_no_numbers(db: Database) -> None:
    await Writer(db, (await add_users(db, 1))[0], [], 1).write(40)

    await db.execute("truncate favorites")
    await assert_exact(db)
    await db.execute("truncate articles cascade")
    await assert_exact(db)


async def test_an_article_that_changes_its_author_counts_for_the_new_one(db: Database) -> None:
    first, second = await add_users(db, 2)
    await Writer(db, first, [], 1).publish()

    await db.execute("update articles set author_id = $1", second)

    await assert_exact(db)


async def test_a_tag_that_is_added_while_its_last_article_goes_stays(db: Database, database_url: str) -> None:
    (user,) = await add_users(db, 1)
    slugs: list[str] = []
    first = Writer(db, user, slugs, 1)
    first.tags = lambda: ["rare"]
    await first.publish()

    async with Database(database_url, min_size=2, max_size=2, pgbouncer=is_in_between()) as other:
        async with other.transaction() as adding:
            new = {"slug_words": "a", "title": "A", "description": "B", "body": "C", "tags": ["rare"]}
            await articles.create_article(adding, viewer_id=user, generation=0, **new)  # pyright: ignore[reportArgumentType]
            removing = asyncio.create_task(first.delete())
            await asyncio.sleep(0.1)
        await removing

    await assert_exact(db)
    assert await db.fetch("select tag from tags") != []


async def test_numbers_that_were_rolled_back_do_not_count(db: Database) -> None:
    (user,) = await add_users(db, 1)
    writer = Writer(db, user, [], 1)
    await writer.publish()

    with suppress(ZeroDivisionError):
        async with db.transaction() as tx:
            await articles.create_article(
                tx, viewer_id=user, generation=0, slug_words="a", title="A", description="B", body="C", tags=["gone"]
            )
            raise ZeroDivisionError

    await assert_exact(db)


@pytest.mark.parametrize(
    "filters",
    [
        Filters(tag="common", author="user1"),
        Filters(tag="rare", author="user1"),
        Filters(tag="common", favorited_by="user2"),
        Filters(tag="rare", favorited_by="user2"),
        Filters(author="user1", favorited_by="user2"),
        Filters("common", "user1", "user2"),
        Filters("rare", "user1", "user2"),
        Filters("unused", "user1", "user2"),
        Filters("common", "nobody", "user2"),
        Filters("common", "user1", "nobody"),
    ],
    ids=str,
)
async def test_whichever_filter_leaves_the_fewest_the_articles_are_those_that_pass_all(
    db: Database, filters: Filters
) -> None:
    users = await add_users(db, 3)
    await db.execute(
        """
        insert into articles (author_id, slug_words, title, description, body, tags)
        select ($1::bigint[])[1 + n % 3], 'a', n::text, 'B', 'C',
               case when n % 10 = 0 then array['common', 'rare'] when n % 2 = 0 then array['common'] else '{}' end
        from generate_series(1, 90) as n
        """,
        users,
    )
    await db.execute(
        "insert into favorites (user_id, article_id) select $1, id from articles where id % 4 = 0", users[1]
    )
    expected = await db.fetch(
        """
        select title from articles join users on users.id = author_id
        where ($1::text is null or $1 = any (tags)) and ($2::text is null or username = $2)
          and ($3::text is null or exists (
              select from favorites join users as fans on fans.id = user_id
              where fans.username = $3 and article_id = articles.id))
        order by articles.id desc
        """,
        filters.tag, filters.author, filters.favorited_by,
    )  # fmt: skip

    page = PageBounds(limit=4, offset=1, before=2**63 - 1)
    found = await articles.list_articles(db, filters=filters, page=page, viewer_id=None, generation=None)

    titles = [row["title"] for row in expected]
    assert [article.title for article in found] == titles[1:5]
    assert {article.total for article in found} <= {len(titles)}
    assert await articles.count_articles(db, filters=filters) == len(titles)


@pytest.mark.parametrize("writing", [0, 1, 100, 300])
async def test_who_follows_many_reads_the_same_feed_as_who_follows_few(db: Database, writing: int) -> None:
    users = await add_users(db, 302)
    reader = users[-1]
    await db.execute(
        "insert into follows (follower_id, followed_id) select $1, unnest($2::bigint[])", reader, users[1:-1]
    )
    await db.execute(
        """
        insert into articles (author_id, slug_words, title, description, body)
        select author_id, 'a', n::text, 'B', 'C'
        from generate_series(1, 2) as n, unnest($1::bigint[]) as author_id order by n, author_id
        """,
        users[: writing + 1],
    )
    expected = await db.fetch("select title from articles where author_id <> $1 order by id desc limit 21", users[0])

    found = await articles.list_feed(db, limit=21, offset=0, before=2**63 - 1, viewer_id=reader, generation=0)

    assert [article.title for article in found] == [row["title"] for row in expected]
    assert {article.total for article in found} <= {2 * min(writing, 300)}


@pytest.mark.parametrize(("is_favored", "count"), [(True, 1), (False, 0)])
async def test_an_answer_counts_what_another_request_of_the_same_user_stored_meanwhile(
    db: Database, is_favored: bool, count: int
) -> None:
    [user] = await add_users(db, 1)
    writer = Writer(db, user, [], 1)
    await writer.publish()
    change = favorites.favorite if is_favored else favorites.unfavorite
    slug = writer.slugs[0]
    if not is_favored:
        await favorites.favorite(db, viewer_id=user, generation=0, slug=slug)

    async with db.transaction() as tx:
        await change(tx, viewer_id=user, generation=0, slug=slug)
        second = asyncio.create_task(change(db, viewer_id=user, generation=0, slug=slug))
        while not await db.fetchval("select count(*) from pg_locks where not granted"):
            await asyncio.sleep(0.01)
    seen = await second

    assert (seen.favorited, seen.favorites_count) == (is_favored, count)
