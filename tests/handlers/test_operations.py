"""The operations that the contract promises are those that the service has, and each asks for a token where it must."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from app.db import Database
from app.http.operations import NoOperation
from tests.documented import OpenApiDocument, outcome
from tests.handlers.people import Person


class Operation(NamedTuple):
    """A method of a path, its operationId, and whether it needs a token, takes one, or ignores it."""

    method: str
    path: str
    operation_id: str
    token: Literal["required", "optional", "ignored"]


CONTRACT = [
    Operation("POST", "/api/users/login", "Login", "ignored"),
    Operation("POST", "/api/users", "CreateUser", "ignored"),
    Operation("GET", "/api/user", "GetCurrentUser", "required"),
    Operation("PUT", "/api/user", "UpdateCurrentUser", "required"),
    Operation("GET", "/api/profiles/{username}", "GetProfileByUsername", "optional"),
    Operation("POST", "/api/profiles/{username}/follow", "FollowUserByUsername", "required"),
    Operation("DELETE", "/api/profiles/{username}/follow", "UnfollowUserByUsername", "required"),
    Operation("GET", "/api/articles/feed", "GetArticlesFeed", "required"),
    Operation("GET", "/api/articles", "GetArticles", "optional"),
    Operation("POST", "/api/articles", "CreateArticle", "required"),
    Operation("GET", "/api/articles/{slug}", "GetArticle", "optional"),
    Operation("PUT", "/api/articles/{slug}", "UpdateArticle", "required"),
    Operation("DELETE", "/api/articles/{slug}", "DeleteArticle", "required"),
    Operation("GET", "/api/articles/{slug}/comments", "GetArticleComments", "optional"),
    Operation("POST", "/api/articles/{slug}/comments", "CreateArticleComment", "required"),
    Operation("DELETE", "/api/articles/{slug}/comments/{id}", "DeleteArticleComment", "required"),
    Operation("POST", "/api/articles/{slug}/favorite", "CreateArticleFavorite", "required"),
    Operation("DELETE", "/api/articles/{slug}/favorite", "DeleteArticleFavorite", "required"),
    Operation("GET", "/api/tags", "GetTags", "ignored"),
]
EXTENSIONS = [
    Operation("DELETE", "/api/user/tokens", "EndTokens", "required"),
    Operation("GET", "/api/users", "GetUsers", "optional"),
    Operation("GET", "/api/articles/export", "ExportArticles", "required"),
    Operation("GET", "/health/live", "GetLiveness", "ignored"),
    Operation("GET", "/health/ready", "GetReadiness", "ignored"),
    Operation("GET", "/openapi.json", "GetOpenApi", "ignored"),
    Operation("GET", "/docs", "GetDocs", "ignored"),
    Operation("GET", "/", "GetRoot", "ignored"),
    Operation("GET", "/favicon.ico", "GetFavicon", "ignored"),
]
FILTERS = [
    "?tag=dragons",
    "?author=ann",
    "?favorited=ann",
    "?tag=dragons&author=ann&favorited=ann",
    "?limit=1&offset=9",
]
ASKING = [operation for operation in CONTRACT + EXTENSIONS if operation.token != "ignored"]
REQUIRING = [operation for operation in CONTRACT + EXTENSIONS if operation.token == "required"]
BODIES: dict[str, dict[str, Any]] = {
    "UpdateCurrentUser": {"user": {"bio": "Text"}},
    "CreateArticle": {"article": {"title": "Title", "description": "About", "body": "Text", "tagList": ["tag"]}},
    "UpdateArticle": {"article": {"title": "Title", "tagList": ["tag"]}},
    "CreateArticleComment": {"comment": {"body": "Text"}},
}


# What operators look at; tests/monitor/ tests it.
MONITOR = ("/monitor", "/metrics")


def routes_of(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of each route; HEAD comes with GET."""
    for route in routes:
        if isinstance(route, Mount):
            yield from routes_of(route.routes, prefix + route.path)
        else:
            assert isinstance(route, Route)
            methods = route.endpoint.methods if isinstance(route.endpoint, NoOperation) else route.methods
            for method in (methods or frozenset[str]()) - {"HEAD"}:
                yield method, re.sub(r":\w+}", "}", prefix + route.path)


async def test_the_contract_has_nineteen_operations() -> None:
    assert len({(operation.method, operation.path) for operation in CONTRACT}) == 19


async def test_the_routes_are_those_of_the_contract_and_the_extensions(app: Starlette) -> None:
    routes = {(method, path) for method, path in routes_of(app.routes) if not path.startswith(MONITOR)}
    assert routes == {(operation.method, operation.path) for operation in CONTRACT + EXTENSIONS}


async def test_the_document_has_the_operations_of_the_contract(openapi_document: OpenApiDocument) -> None:
    documented = openapi_document.operations()

    for operation in CONTRACT:
        assert documented[operation.method, operation.path]["operationId"] == operation.operation_id


async def test_the_document_has_no_operation_that_the_service_lacks(openapi_document: OpenApiDocument) -> None:
    known = {(operation.method, operation.path) for operation in CONTRACT + EXTENSIONS}

    assert set(openapi_document.operations()) <= known


@pytest.fixture
async def paths(ann: Person, bob: Person, article: dict[str, Any]) -> dict[str, str]:
    """The paths of what exists: a user, an article, a comment by ann herself on it."""
    comment = await ann.comments(article)
    values = {"username": "bob", "slug": article["slug"], "id": comment["id"]}
    return {operation.path: operation.path.format_map(values) for operation in CONTRACT + EXTENSIONS}


async def send(
    client: httpx2.AsyncClient, operation: Operation, path: str, authorization: str | None
) -> httpx2.Response:
    """A valid request for the operation."""
    headers = {} if authorization is None else {"Authorization": authorization}
    return await client.request(operation.method, path, json=BODIES.get(operation.operation_id), headers=headers)


async def test_an_operation_that_needs_a_token_says_when_it_is_missing(
    client: httpx2.AsyncClient, paths: dict[str, str], db: Database
) -> None:
    before = await contents(db)

    for operation in REQUIRING:
        answer = await send(client, operation, paths[operation.path], None)
        assert outcome(answer) == (401, {"token": ["is missing"]}), operation
    assert await contents(db) == before


async def test_an_operation_that_takes_a_token_refuses_a_bad_one(
    client: httpx2.AsyncClient, paths: dict[str, str], db: Database
) -> None:
    before = await contents(db)

    for operation in ASKING:
        answer = await send(client, operation, paths[operation.path], "Token not.a.token")
        assert outcome(answer) == (401, {"token": ["is invalid"]}), operation
    assert await contents(db) == before


@pytest.mark.parametrize("operation", ASKING, ids=lambda operation: operation.operation_id)
async def test_an_operation_serves_the_person_that_a_good_token_names(
    client: httpx2.AsyncClient, ann: Person, paths: dict[str, str], operation: Operation
) -> None:
    answer = await send(client, operation, paths[operation.path], f"Token {ann.token}")

    assert answer.status_code in {200, 201, 204}


async def test_an_operation_that_takes_a_token_serves_strangers_too(
    client: httpx2.AsyncClient, paths: dict[str, str]
) -> None:
    for operation in ASKING:
        if operation.token == "optional":
            answer = await send(client, operation, paths[operation.path], None)
            assert answer.status_code == 200, operation


async def test_the_token_of_somebody_who_is_gone_is_invalid(
    client: httpx2.AsyncClient, bob: Person, paths: dict[str, str], db: Database
) -> None:
    await db.execute("delete from users where username = 'bob'")
    before = await contents(db)

    for operation in ASKING:
        path = paths[operation.path].replace("bob", "ann")
        answer = await send(client, operation, path, f"Token {bob.token}")
        assert outcome(answer) == (401, {"token": ["is invalid"]}), operation
    assert await contents(db) == before


async def test_the_token_of_somebody_who_is_gone_is_invalid_before_anything_is_not_found(
    client: httpx2.AsyncClient, bob: Person, paths: dict[str, str], db: Database
) -> None:
    await db.execute("delete from users")
    assert await db.fetchval("select count(*) from articles") == 0

    for operation in ASKING:
        answer = await send(client, operation, paths[operation.path], f"Token {bob.token}")
        assert outcome(answer) == (401, {"token": ["is invalid"]}), operation


async def test_the_token_of_somebody_who_is_gone_is_invalid_before_the_body_is(
    bob: Person, paths: dict[str, str], db: Database
) -> None:
    await db.execute("delete from users where username = 'bob'")

    for operation in ASKING:
        if operation.operation_id in BODIES:
            answer = await bob.request(operation.method, paths[operation.path], json={})
            assert outcome(answer) == (401, {"token": ["is invalid"]}), operation


async def test_the_token_of_somebody_who_is_gone_is_invalid_before_a_parameter_is(
    bob: Person, article: dict[str, Any], db: Database
) -> None:
    await db.execute("delete from users where username = 'bob'")

    for path in (
        "/api/articles?limit=0",
        "/api/articles?tag=%00",
        "/api/articles/feed?offset=-1",
        "/api/users?cursor=x",
    ):
        assert outcome(await bob.get(path)) == (401, {"token": ["is invalid"]}), path


async def test_the_token_of_somebody_who_is_gone_is_invalid_in_every_list(
    article: dict[str, Any], bob: Person, db: Database
) -> None:
    await db.execute("delete from users where username = 'bob'")

    for path in (*("/api/articles" + query for query in FILTERS), "/api/articles/feed?limit=1&offset=9"):
        assert outcome(await bob.get(path)) == (401, {"token": ["is invalid"]}), path


@pytest.mark.parametrize("path", ["/api/users", "/api/articles"])
@pytest.mark.usefixtures("article", "other_article")
async def test_the_token_of_somebody_who_is_gone_is_invalid_on_a_later_page(
    bob: Person, db: Database, path: str
) -> None:
    first = await bob.get(f"{path}?limit=1")
    await db.execute("delete from users where username = 'bob'")

    assert outcome(await bob.get(first.links["next"]["url"])) == (401, {"token": ["is invalid"]})


async def test_an_operation_without_token_serves_whoever_carries_an_old_one(
    client: httpx2.AsyncClient, ann: Person
) -> None:
    bodies = {
        "Login": {"user": {"email": ann.email, "password": ann.password}},
        "CreateUser": {"user": {"username": "cleo", "email": "cleo@example.com", "password": "cleo's password"}},
    }
    old = {"Authorization": "Token not.a.token"}

    for method, path, operation_id, token in CONTRACT:
        if token == "ignored":
            answer = await client.request(method, path, json=bodies.get(operation_id), headers=old)
            assert answer.status_code in {200, 201}, operation_id


async def contents(db: Database) -> list[Any]:
    """How many rows each table has, and when an account or an article last changed."""
    tables = ("users", "follows", "articles", "article_tags", "favorites", "comments")
    counts = [await db.fetchval(f"select count(*) from {table}") for table in tables]
    changes = "select updated_at from users union all select updated_at from articles"
    return [*counts, await db.fetchval(f"select max(updated_at) from ({changes}) as changes")]
