"""Every read at 10,000 and at 1,000,000 articles: how much slower the larger database is.

    python -m benchmarks.growth --rounds 7

Two embedded databases are filled, the larger in about ten minutes; --small and --large name filled ones instead. Each
read runs in turn on both, for rows of ordinary size and for the most extreme ones, page 1 and deep by cursor, over one
connection each. A ratio of 0.7 is wanted: it is that of the statements a second.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import click
import uvloop

from app.db import Database
from app.repositories import articles, comments, profiles, tags, users
from app.repositories.articles import Filters, PageBounds
from app.seeding.sizes import SIZES
from benchmarks.contest import Call, Contest, Ratio, report
from benchmarks.http.__main__ import seeded
from benchmarks.http.routes import NEWEST
from benchmarks.results import server_version, write_results
from benchmarks.server import SERVER_SETTINGS

SMALL, LARGE = "10,000 articles", "1,000,000 articles"
BAR = 0.7
PAGE = 21

# Rows with a full page at either size: ordinary ones, and the most extreme.
KEYS = {
    "author": """
        select username as author from author_counts join users on users.id = author_id group by username
        having sum(articles) >= 21 order by abs(sum(articles) - 25), username limit 1
    """,
    "top_author": """
        select username as author from author_counts join users on users.id = author_id group by username
        order by sum(articles) desc limit 1
    """,
    "fan": """
        select username as favorited_by from favorited_counts join users on users.id = user_id group by username
        having sum(favorites) >= 21 order by abs(sum(favorites) - 25), username limit 1
    """,
    "top_fan": """
        select username as favorited_by from favorited_counts join users on users.id = user_id group by username
        order by sum(favorites) desc limit 1
    """,
    "tag": """
        select tag from tag_counts group by tag having sum(articles) >= 21
        order by sum(articles), tag limit 1 offset (select count(*) / 2 from tags)
    """,
    "top_tag": "select tag from tag_counts group by tag order by sum(articles) desc limit 1",
    "reader": """
        select follower_id as viewer_id from follows join author_counts on author_id = followed_id
        group by follower_id having sum(articles) >= 21 and count(distinct followed_id) between 10 and 30
        order by abs(count(distinct followed_id) - 20), 1 limit 1
    """,
    "top_reader": "select follower_id as viewer_id from follows group by 1 order by count(*) desc limit 1",
    "article": "select slug from articles join comments on article_id = articles.id order by articles.id limit 1",
    "top_article": """
        select slug from favorite_counts join articles on articles.id = article_id group by slug
        order by sum(favorites) desc limit 1
    """,
    "user": "select id as user_id, username from users order by id limit 1 offset 500",
    "middle": "select max(id) / 2 as before from articles",
}  # fmt: skip
Keys = dict[str, dict[str, Any]]


def reads(db: Database, keys: Keys) -> dict[str, Call]:
    """Return the reads for these rows."""
    middle = keys["middle"]["before"]

    def listed(before: int = NEWEST, viewer_id: int | None = None, **filters: str) -> Call:
        page = PageBounds(limit=PAGE, offset=0, before=before)
        return partial(
            articles.list_articles,
            db,
            filters=Filters(**filters),
            page=page,
            viewer_id=viewer_id,
            generation=viewer_id and 0,
        )

    def feed(reader: str, before: int = NEWEST) -> Call:
        return partial(articles.list_feed, db, limit=PAGE, offset=0, before=before, **keys[reader])

    author, top_author, fan, top_fan = (keys[name] for name in ("author", "top_author", "fan", "top_fan"))
    tag, top_tag = keys["tag"], keys["top_tag"]
    return {
        "profile": partial(
            profiles.get_profile, db, username=keys["user"]["username"], viewer_id=None, generation=None
        ),
        "profiles": partial(profiles.list_profiles, db, after=0, limit=PAGE, viewer_id=None, generation=None),
        "current user": partial(users.get_user, db, user_id=keys["user"]["user_id"], generation=0),
        "article": partial(articles.get_article, db, slug=keys["article"]["slug"], viewer_id=None, generation=None),
        "article with the most favorites": partial(
            articles.get_article, db, **keys["top_article"], viewer_id=None, generation=None
        ),
        "comments": partial(comments.list_comments, db, slug=keys["article"]["slug"], viewer_id=None, generation=None),
        "tags": partial(tags.get_tags, db),
        "list": listed(),
        "list, by cursor": listed(middle),
        "list of a viewer": listed(viewer_id=keys["user"]["user_id"]),
        "by tag": listed(**tag),
        "by tag, by cursor": listed(middle, **top_tag),
        "by the most common tag": listed(**top_tag),
        "by author": listed(**author),
        "by the author with a tenth of all": listed(**top_author),
        "by that author, by cursor": listed(middle, **top_author),
        "favorited": listed(**fan),
        "favorited by who favors most": listed(**top_fan),
        "feed": feed("reader"),
        "feed, by cursor": feed("reader", middle),
        "feed of who follows a twelfth of all": feed("top_reader"),
        "author and common tag": listed(**author, **top_tag),
        "tag and favorited": listed(**top_tag, **fan),
        "author and favorited": listed(**top_author, **fan),
        "author, tag and favorited": listed(**top_author, **top_tag, **fan),
        "the top author and the top tag": listed(**top_author, **top_tag),
    }


@asynccontextmanager
async def opened(dsn: str) -> AsyncGenerator[dict[str, Call]]:
    """Yield the reads on this database."""
    connection = await asyncpg.connect(dsn)
    keys: Keys = {}
    for name, sql in KEYS.items():
        row = await connection.fetchrow(sql)
        if row is None:
            raise ValueError(f"the database has no {name.replace('_', ' ')} with a full page")
        keys[name] = dict(row)
    await connection.close()
    async with Database(dsn, min_size=1, max_size=1, server_settings=SERVER_SETTINGS) as db:
        yield reads(db, keys)


async def play(small: str, large: str, rounds: int, seconds: float) -> list[Contest]:
    """Run each read on both and print the ratio."""
    played: list[Contest] = []
    async with opened(small) as few, opened(large) as many:
        for name in few:
            contest = Contest(name, {SMALL: [few[name]], LARGE: [many[name]]}, [Ratio(LARGE, SMALL, BAR)])
            await contest.play(rounds, seconds)
            click.echo(report(contest))
            played.append(contest)
    return played


@contextmanager
def databases(small: str | None, large: str | None) -> Generator[tuple[str, str]]:
    """Yield the addresses of the two databases."""
    with ExitStack() as stack:
        yield stack.enter_context(seeded(small, SIZES["small"])), stack.enter_context(seeded(large, SIZES["large"]))


@click.command(help=__doc__)
@click.option("--small", help="A database of `python -m app seed --size small`.")
@click.option("--large", help="A database of `python -m app seed --size large`.")
@click.option("--rounds", default=7, show_default=True, type=click.IntRange(1), help="How often each read runs.")
@click.option("--seconds", default=0.3, show_default=True, help="How long it runs each time.")
@click.option("--json", "results", type=click.Path(dir_okay=False, path_type=Path), help="Write the results there too.")
def main(small: str | None, large: str | None, rounds: int, seconds: float, results: Path | None) -> None:
    """Print the ratios."""
    with databases(small, large) as (few, many):
        played = uvloop.run(play(few, many, rounds, seconds))
        if results:
            write_results(results, server_version(many), played)


if __name__ == "__main__":
    main()
