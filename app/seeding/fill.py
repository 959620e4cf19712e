"""Copies the rows into the database, through the layer's bulk functions: constraints and triggers are in force."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

from app.db import Database
from app.repositories import articles, comments, favorites, profiles, users
from app.seeding import rows
from app.seeding.sizes import Size

Row = TypeVar("Row")

# Rows of one COPY: the server keeps what its triggers and foreign keys still have to check in memory.
CHUNK = 100_000


class NotEmpty(Exception):
    """The database has users already. Nothing was stored."""


async def fill(
    db: Database, size: Size, *, password_hash: str, append: bool, advance: Callable[[str, int], None]
) -> None:
    """Store data of this size. `advance` is told what is being stored, and of how many rows, now and then.

    Each 100,000 rows are committed on their own, so a run that fails leaves those before. Nothing else may store users
    or articles meanwhile: their keys are counted back from the newest. Raises NotEmpty if there are
    users and `append` is false.
    """
    newest = await users.find_newest_key(db)
    if newest is not None and not append:
        raise NotEmpty("the database has users already; --append adds to what is there")
    mark = "" if newest is None else f"-{newest}"

    async def copy(what: str, function: Callable[..., Awaitable[int]], made: Iterator[Row]) -> None:
        for chunk in _chunks(made):
            await function(db, rows=_counted(chunk, lambda count: advance(what, count)))

    await copy("users", users.copy_users, rows.accounts(size, mark, password_hash))
    first_user = (await users.find_newest_key(db) or 0) - size.users + 1
    await copy("articles", articles.copy_articles, rows.articles(size, mark, first_user))
    first_article = (await articles.find_newest_key(db) or 0) - size.articles + 1
    await copy("follows", profiles.copy_follows, rows.follows(size, mark, first_user))
    await copy("favorites", favorites.copy_favorites, rows.favorites(size, mark, first_user, first_article))
    await copy("comments", comments.copy_comments, rows.comments(size, mark, first_user, first_article))
    advance("statistics", 0)
    async with db.acquire() as connection:
        await connection.execute("vacuum (analyze)")


def _chunks(made: Iterator[Row]) -> Iterator[Iterable[Row]]:
    for first in made:
        yield chain([first], islice(made, CHUNK - 1))


def _counted(made: Iterable[Row], advance: Callable[[int], None]) -> Iterator[Row]:
    count = 0
    for count, row in enumerate(made, 1):
        if count % 1000 == 0:
            advance(1000)
        yield row
    advance(count % 1000)
