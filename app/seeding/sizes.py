"""How many rows of each kind there are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """Rows of each kind. Each article has `tags_each` of the `tags`.

    The most extreme rows follow from these: see `top_favorites`, `top_follows` and `top_articles`.
    """

    users: int = 10_000
    articles: int = 100_000
    tags: int = 500
    favorites: int = 1_000_000
    comments: int = 100_000
    follows: int = 200_000
    tags_each: int = 5

    @property
    def rows(self) -> int:
        """All rows that are copied."""
        return self.users + self.articles + self.favorites + self.comments + self.follows

    @property
    def top_favorites(self) -> int:
        """Favorites of the most popular article."""
        return min(self.users * 5 // 6, self.favorites // 20)

    @property
    def top_follows(self) -> int:
        """Users whom the most curious reader follows."""
        return min(self.users // 12, self.follows // 4)

    @property
    def top_articles(self) -> int:
        """Articles of the most productive author."""
        return self.articles // 10


SIZES = {
    "small": Size(1_000, 10_000, 500, 100_000, 10_000, 20_000),
    "default": Size(),
    "large": Size(600_000, 1_000_000, 500, 10_000_000, 1_000_000, 2_000_000),
}


def problem(size: Size) -> str | None:
    """Return why no data can have this size, None if they can."""
    if size.users < 1 and size.rows:
        return "articles, favorites, comments and follows need users"
    if size.articles < 1 and size.favorites + size.comments:
        return "favorites and comments need articles"
    if size.favorites > size.users * size.articles // 2:
        return f"{size.favorites} favorites are more than half of all pairs of a user and an article"
    if size.follows > size.users * (size.users - 1) // 2:
        return f"{size.follows} follows are more than half of all pairs of users"
    if size.articles and size.tags < size.tags_each:
        return f"an article has {size.tags_each} different tags, so at least as many are needed"
    return None
