"""The number of all articles is kept, not counted: it must be exact all the same."""

from __future__ import annotations

import asyncio

from app.db import Database
from app.repositories import articles, users


async def author(db: Database, name: str) -> int:
    user = await users.create_user(db, username=name, email=f"{name}@example.com", password_hash="")
    return user.id


async def publish(db: Database, author_id: int) -> str:
    article = await articles.create_article(
        db, viewer_id=author_id, generation=0, slug_words="a", title="A", description="d", body="b", tags=["t"]
    )
    return article.slug


async def is_exact(db: Database) -> bool:
    return await articles.count_all_articles(db) == await db.fetchval("select count(*) from articles")


async def test_the_count_follows_articles_that_come_and_go_at_the_same_time(db: Database) -> None:
    ann = await author(db, "ann")
    slugs = await asyncio.gather(*(publish(db, ann) for _ in range(20)))

    async def delete(slug: str) -> None:
        key = await articles.get_article_key(db, slug=slug, viewer_id=None, generation=None)
        await articles.delete_article(db, article_id=key.id)

    await asyncio.gather(*(delete(slug) for slug in slugs[:7]), *(publish(db, ann) for _ in range(5)))

    assert await articles.count_all_articles(db) == 18
    assert await is_exact(db)


async def test_the_count_forgets_an_author_with_all_articles(db: Database) -> None:
    ann, bob = await author(db, "ann"), await author(db, "bob")
    for author_id in (ann, ann, bob):
        await publish(db, author_id)

    await db.execute("delete from users where id = $1", ann)

    assert await articles.count_all_articles(db) == 1


async def test_the_count_does_not_see_what_was_rolled_back(db: Database) -> None:
    ann = await author(db, "ann")
    async with db.acquire() as connection:
        await connection.execute("begin")
        await connection.execute(
            "insert into articles (author_id, slug_words, title, description, body) "
            "select $1, 'a', 'A', 'd', 'b' from generate_series(1, 3)",
            ann,
        )
        await connection.execute("rollback")

    assert await articles.count_all_articles(db) == 0


async def test_the_count_starts_anew_when_the_table_is_emptied(db: Database) -> None:
    await publish(db, await author(db, "ann"))

    await db.execute("truncate articles cascade")

    assert await articles.count_all_articles(db) == 0


async def test_the_count_includes_articles_older_than_itself(db: Database, database_url: str) -> None:
    from app.migrations import apply_migrations, rollback_migrations

    await publish(db, await author(db, "ann"))

    await asyncio.to_thread(rollback_migrations, database_url, 1)
    await asyncio.to_thread(apply_migrations, database_url)

    assert await articles.count_all_articles(db) == 1
