"""Several people use the API in any order, and every answer must be what the model says."""

from __future__ import annotations

import sys
from typing import Any

import httpx2
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.handlers.machine_accounts import CALLERS, NAMES, Refusal, WithAccounts, no_viewer, one_of, refuses
from tests.handlers.model import Article, Caller, Comment

FEED = "/api/articles/feed"
COMMENTS = one_of(
    lambda model: [
        *[(article.slug, each.id) for article in model.articles for each in article.comments] * 4,
        *[(slug, number) for slug in model.slugs[-3:] for number in model.comment_ids[-3:]],
    ]
)
SLUGS = one_of(lambda model: [*[each.slug for each in model.articles] * 3, *model.slugs])
TAGS = st.sampled_from(["dragons", "tea", "\u9f8d", "Tea", "a b&c"])
TITLES = st.sampled_from(["How to train", "\u00dcber Drachen", "\u9f8d", "Tea & 'biscuits'", "!!!"])
TEXTS = st.sampled_from(["Very carefully.", '\u2028 <b>\\ "quotes"', "%s :name $1"])
FIELDS = {"title": TITLES, "description": TEXTS, "body": TEXTS}
TAG_LISTS = st.lists(TAGS, max_size=4)
FILTERS = st.fixed_dictionaries({}, optional={"tag": TAGS, "author": NAMES, "favorited": NAMES})


class People(WithAccounts):
    """The rules of accounts and of articles: each sends a request or reads a list, and compares it with the model."""

    @initialize()
    def begin_with_articles(self) -> None:
        """Both published, and commented on and favored the newer article, and follow each other: few requests would."""
        ann, bob = (self.signs_up(name) for name in ("ann", "bob"))
        for caller, other in ((ann, bob), (bob, ann)):
            self.publish(caller, {"title": "!!!", "description": "d", "body": "b", "tagList": ["tea"]})
            self.follow_or_look(caller, other.account.username if other.account else "", "POST")
        for caller in (ann, bob):
            self.comment(caller, self.model.slugs[-1], "So true")
            self.favorite(caller, self.model.slugs[-1], "POST")

    @rule(caller=CALLERS, fields=st.fixed_dictionaries(FIELDS, optional={"tagList": TAG_LISTS}))
    def publish(self, caller: Caller, fields: dict[str, Any]) -> None:
        answer = self.ask(caller, "POST", "/api/articles", {"article": fields})
        if refuses(answer, *no_viewer(caller)):
            return
        assert caller.account
        shown = _chosen(answer.json()["article"], "slug", "createdAt", "updatedAt")
        assert shown["slug"] not in self.model.slugs
        assert shown["createdAt"] == shown["updatedAt"]
        article = Article(caller.account, {**fields, **shown, "tagList": sorted(set(fields.get("tagList", [])))})
        self.model.articles.append(article)
        self.model.slugs.append(article.slug)
        self._shows(answer, article, caller)

    @rule(caller=CALLERS, slug=SLUGS, changes=st.fixed_dictionaries({}, optional={**FIELDS, "tagList": TAG_LISTS}))
    def edit(self, caller: Caller, slug: str, changes: dict[str, Any]) -> None:
        answer, article = (
            self.ask(caller, "PUT", f"/api/articles/{slug}", {"article": changes}),
            self.model.article(slug),
        )
        if refuses(answer, *no_viewer(caller), *_not_theirs(article, caller)):
            return
        assert article
        shown, before = _chosen(answer.json()["article"], "slug", "updatedAt"), dict(article.shown)
        assert (shown["slug"] == slug) is (changes.get("title", before["title"]) == before["title"])
        assert shown["updatedAt"] > before["updatedAt"] if changes else shown["updatedAt"] == before["updatedAt"]
        article.shown |= {**changes, **shown}
        article.shown["tagList"] = sorted(set(article.shown["tagList"]))
        self.model.slugs.append(article.slug)
        self._shows(answer, article, caller)

    @rule(caller=CALLERS, slug=SLUGS)
    def delete(self, caller: Caller, slug: str) -> None:
        answer, article = self.ask(caller, "DELETE", f"/api/articles/{slug}"), self.model.article(slug)
        if not refuses(answer, *no_viewer(caller), *_not_theirs(article, caller)):
            assert article
            self.model.articles.remove(article)

    @rule(caller=CALLERS, slug=SLUGS, method=st.sampled_from(["POST", "DELETE"]))
    def favorite(self, caller: Caller, slug: str, method: str) -> None:
        answer, article = self.ask(caller, method, f"/api/articles/{slug}/favorite"), self.model.article(slug)
        if refuses(answer, *no_viewer(caller), (not article, 404, "article", "not found")):
            return
        assert article
        assert caller.account
        change = article.fans.add if method == "POST" else article.fans.discard
        change(caller.account)
        self._shows(answer, article, caller)

    @rule(caller=CALLERS, slug=SLUGS, body=TEXTS)
    def comment(self, caller: Caller, slug: str, body: str) -> None:
        answer = self.ask(caller, "POST", f"/api/articles/{slug}/comments", {"comment": {"body": body}})
        article = self.model.article(slug)
        if refuses(answer, *no_viewer(caller), (not article, 404, "article", "not found")):
            return
        assert article
        assert caller.account
        shown = _chosen(answer.json()["comment"], "id", "createdAt", "updatedAt")
        assert shown["id"] not in self.model.comment_ids
        article.comments.append(Comment(shown["id"], caller.account, {**shown, "body": body}))
        self.model.comment_ids.append(shown["id"])
        assert answer.json() == {"comment": self.model.comments(article, caller.account)[0]}

    @rule(caller=CALLERS, place=COMMENTS)
    def delete_comment(self, caller: Caller, place: tuple[str, int]) -> None:
        slug, number = place
        answer = self.ask(caller, "DELETE", f"/api/articles/{slug}/comments/{number}")
        article = self.model.article(slug)
        comment = next((each for each in article.comments if each.id == number), None) if article else None
        is_theirs = comment is not None and comment.author is caller.account
        if not refuses(
            answer,
            *no_viewer(caller),
            (not article, 404, "article", "not found"),
            (not comment, 404, "comment", "not found"),
            (not is_theirs, 403, "comment", "forbidden"),
        ):
            assert article
            assert comment
            article.comments.remove(comment)

    @rule(caller=CALLERS, slug=SLUGS)
    def read(self, caller: Caller, slug: str) -> None:
        answer, article = self.ask(caller, "GET", f"/api/articles/{slug}"), self.model.article(slug)
        comments = self.ask(caller, "GET", f"/api/articles/{slug}/comments")
        refusals = *no_viewer(caller, True), (not article, 404, "article", "not found")
        if refuses(answer, *refusals):
            refuses(comments, *refusals)
            return
        assert article
        self._shows(answer, article, caller)
        assert comments.json() == {"comments": self.model.comments(article, caller.account)}

    @rule(caller=CALLERS, filters=FILTERS, limit=st.integers(1, 4), offset=st.integers(0, 4))
    def list_articles(self, caller: Caller, filters: dict[str, str], limit: int, offset: int) -> None:
        passing = self.model.passing(filters)
        self._lists("/api/articles", passing, caller, limit=limit, offset=offset, **filters)

    @rule(caller=CALLERS, limit=st.integers(1, 4), offset=st.integers(0, 4))
    def read_feed(self, caller: Caller, limit: int, offset: int) -> None:
        feed = self.model.feed(caller.account)
        self._lists(FEED, feed, caller, limit=limit, offset=offset)

    @rule(caller=CALLERS, limit=st.integers(1, 3))
    def follow_links(self, caller: Caller, limit: int) -> None:
        if caller.is_ended:
            return
        pages, path = list[dict[str, Any]](), f"/api/articles?limit={limit}"
        while path:
            answer = self.ask(caller, "GET", path)
            pages += answer.json()["articles"]
            path = answer.links["next"]["url"] if answer.links else ""
        assert pages == self.model.summaries(self.model.articles, caller.account)

    def teardown(self) -> None:
        """Everything is as the model has it, whoever looks; unless a rule failed, which says more."""
        if sys.exception():
            return
        for caller in {each.account: each for each in self.model.callers if not each.is_ended}.values():
            self._lists("/api/articles", self.model.articles, caller, limit=100)
            self._lists(FEED, self.model.feed(caller.account), caller, limit=100)
            for article in self.model.articles:
                self.read(caller, article.slug)
        assert self.ask(Caller(), "GET", "/api/tags").json() == {"tags": self.model.tags()}
        for account in self.model.accounts:
            for name in ("author", "favorited"):
                filters = {name: account.username}
                self._lists("/api/articles", self.model.passing(filters), Caller(), limit=100, **filters)

    def _shows(self, answer: httpx2.Response, article: Article, caller: Caller) -> None:
        shown, expected = answer.json()["article"], self.model.seen(article, caller.account)
        assert shown == expected, [name for name in expected if shown.get(name) != expected[name]]

    def _lists(self, path: str, expected: list[Article], caller: Caller, **params: Any) -> None:
        answer = self.ask(caller, "GET", path, **params)
        if refuses(answer, *no_viewer(caller, path != FEED)):
            return
        first = params.get("offset", 0)
        page = self.model.summaries(expected, caller.account)[first : first + params["limit"]]
        pairs = zip(answer.json()["articles"], page, strict=False)
        differing = {name for shown, wanted in pairs for name in wanted if shown.get(name) != wanted[name]}
        assert answer.json() == {"articles": page, "articlesCount": len(expected)}, differing


def _not_theirs(article: Article | None, caller: Caller) -> tuple[Refusal, Refusal]:
    is_theirs = article is not None and article.author is caller.account
    return (article is None, 404, "article", "not found"), (not is_theirs, 403, "article", "forbidden")


def _chosen(shown: dict[str, Any], *names: str) -> dict[str, Any]:
    """What only the service can choose."""
    return {name: shown[name] for name in names}
