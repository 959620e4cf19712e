"""The rows, made one after the other. Keys are numbers from 0; `first` is the key that the first of them has stored."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

from app.repositories.articles import NewArticle
from app.repositories.comments import NewComment
from app.repositories.favorites import NewFavorite
from app.repositories.profiles import NewFollow
from app.repositories.users import NewAccount
from app.seeding.shapes import Zipf, shares
from app.seeding.sizes import Size
from app.seeding.words import Prose, names

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
BETWEEN_ARTICLES = timedelta(seconds=97)


def accounts(size: Size, mark: str, password_hash: str) -> Iterator[NewAccount]:
    """Yield the users. `mark` ends their names, so that those of two runs differ."""
    random = Random(f"users {mark}")
    prose = Prose(random)
    for name in names(random, size.users):
        username = name + mark
        image = f"https://example.com/{username}.jpg" if random.random() < 0.5 else None
        bio = prose.words(5, 20) if random.random() < 0.7 else None
        yield NewAccount(username, f"{username}@example.com", password_hash, bio, image)


def articles(size: Size, mark: str, first_user: int) -> Iterator[NewArticle]:
    """Yield the articles, the oldest first. Every tenth is by the most productive author."""
    random = Random(f"articles {mark}")
    prose = Prose(random)
    tags = names(random, size.tags)
    authors, topics = Zipf(random, size.users, 0.8), Zipf(random, size.tags)
    for number in range(size.articles):
        author = authors.top() if number % 10 == 0 else authors.draw()
        title = prose.words(3, 9)
        published = BEGIN + number * BETWEEN_ARTICLES
        yield NewArticle(
            author_id=first_user + author,
            slug_words=title.replace(" ", "-"),
            title=title.capitalize(),
            description=prose.words(8, 20),
            body=prose.words(80, 240),
            tags=sorted(tags[topic] for topic in topics.draw_different(size.tags_each)),
            created_at=published,
            updated_at=published,
        )


def favorites(size: Size, mark: str, first_user: int, first_article: int) -> Iterator[NewFavorite]:
    """Yield the favorites, those of one user after those of another."""
    random = Random(f"favorites {mark}")
    popular = Zipf(random, size.articles, 0.8) if size.articles else None
    fans = size.top_favorites
    parts = shares(random, size.favorites - fans, size.users, max(size.articles // 2 - 1, 1))
    for user in range(size.users):
        if popular is None:
            return
        chosen = popular.draw_different(parts[user], without=popular.top())
        if user < fans:
            chosen.add(popular.top())
        for article in sorted(chosen):
            yield NewFavorite(first_user + user, first_article + article)


def comments(size: Size, mark: str, first_user: int, first_article: int) -> Iterator[NewComment]:
    """Yield the comments: popular articles have more of them."""
    random = Random(f"comments {mark}")
    if not size.comments:
        return
    prose, popular, writers = Prose(random), Zipf(random, size.articles, 0.8), Zipf(random, size.users, 0.5)
    for _ in range(size.comments):
        yield NewComment(first_article + popular.draw(), first_user + writers.draw(), prose.words(5, 40))


def follows(size: Size, mark: str, first_user: int) -> Iterator[NewFollow]:
    """Yield who follows whom: well-known users have more followers. The last user is the most curious reader."""
    random = Random(f"follows {mark}")
    if not size.follows:
        return
    known = Zipf(random, size.users)
    readers = size.users - 1
    parts = shares(random, size.follows - size.top_follows, readers, size.users // 2)
    for reader, count in enumerate([*parts, size.top_follows]):
        for followed in sorted(known.draw_different(count, without=reader)):
            yield NewFollow(first_user + reader, first_user + followed)
