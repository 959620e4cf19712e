"""Conduit without a database: what the API must answer, in plain Python, for tests that compare the two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False, slots=True)
class Account:
    """A registered user. Its tokens name a generation, and are valid while it is this one."""

    username: str
    email: str
    password: str
    bio: str | None = None
    image: str | None = None
    generation: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Caller:
    """Someone who sends requests: with a token of an account, or a stranger."""

    account: Account | None = None
    token: str = ""
    generation: int = 0

    @property
    def is_ended(self) -> bool:
        """Whether the token was ended."""
        return self.account is not None and self.account.generation != self.generation


@dataclass(eq=False, slots=True)
class Comment:
    """A comment; the service chose `id` and the times."""

    id: int
    author: Account
    shown: dict[str, Any]


@dataclass(eq=False, slots=True)
class Article:
    """An article; `shown` has what looks the same to every viewer."""

    author: Account
    shown: dict[str, Any]
    fans: set[Account] = field(default_factory=set[Account])
    comments: list[Comment] = field(default_factory=list[Comment])

    @property
    def slug(self) -> str:
        """The slug, which the service chose."""
        return self.shown["slug"]


class Conduit:
    """All that is stored. Articles are in the order of publication; `slugs` has those of deleted ones, too.

    `failed_logins` are those of an e-mail address in small letters since its last success.
    """

    def __init__(self) -> None:
        self.accounts: list[Account] = []
        self.articles: list[Article] = []
        self.follows: set[tuple[Account, Account]] = set()
        self.callers = [Caller()]
        self.slugs = ["never-was-1"]
        self.comment_ids = [0]
        self.failed_logins = Counter[str]()

    def article(self, slug: str) -> Article | None:
        """The article with this slug; None if it was deleted or has another one now."""
        return next((article for article in self.articles if article.slug == slug), None)

    def account(self, username: str) -> Account | None:
        """The account with exactly this name."""
        return next((account for account in self.accounts if account.username == username), None)

    def taken(self, fields: dict[str, Any], owner: Account | None) -> set[str]:
        """Which of username and email belong to another account than `owner`, in whatever case."""
        others = [account for account in self.accounts if account is not owner]
        return {
            name
            for name in ("username", "email")
            if name in fields and any(getattr(other, name).lower() == fields[name].lower() for other in others)
        }

    def profile(self, of: Account, viewer: Account | None) -> dict[str, Any]:
        """A profile as the viewer sees it."""
        following = (viewer, of) in self.follows
        return {"username": of.username, "bio": of.bio, "image": of.image, "following": following}

    def seen(self, article: Article, viewer: Account | None) -> dict[str, Any]:
        """An article as the viewer sees it."""
        return {
            **article.shown,
            "favorited": viewer in article.fans,
            "favoritesCount": len(article.fans),
            "author": self.profile(article.author, viewer),
        }

    def summaries(self, articles: Iterable[Article], viewer: Account | None) -> list[dict[str, Any]]:
        """The articles as a list shows them to the viewer: newest first, without their bodies."""
        seen = [self.seen(article, viewer) for article in articles]
        return [{name: value for name, value in each.items() if name != "body"} for each in reversed(seen)]

    def passing(self, filters: dict[str, str]) -> list[Article]:
        """The articles that pass all of the filters tag, author and favorited."""
        author, fan = (self.account(filters.get(name, "")) for name in ("author", "favorited"))
        return [
            article
            for article in self.articles
            if ("tag" not in filters or filters["tag"] in article.shown["tagList"])
            and ("author" not in filters or article.author is author)
            and ("favorited" not in filters or fan in article.fans)
        ]

    def feed(self, viewer: Account | None) -> list[Article]:
        """The articles of the authors whom the viewer follows."""
        return [article for article in self.articles if (viewer, article.author) in self.follows]

    def comments(self, article: Article, viewer: Account | None) -> list[dict[str, Any]]:
        """The comments on the article as the viewer sees them, newest first."""
        return [{**each.shown, "author": self.profile(each.author, viewer)} for each in reversed(article.comments)]

    def tags(self) -> list[str]:
        """The tags in use."""
        return sorted({tag for article in self.articles for tag in article.shown["tagList"]})
