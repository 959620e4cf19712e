"""The description of the API. That answers keep to it is checked with every answer of every test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx2
from openapi_spec_validator import validate

from tests.documented import OpenApiDocument

USER = {"user", "user.bio", "user.email", "user.image", "user.token", "user.username"}
PROFILE = {"profile", "profile.bio", "profile.following", "profile.image", "profile.username"}
AUTHOR = {"author", "author.bio", "author.following", "author.image", "author.username"}
SUMMARY = AUTHOR | {
    *("createdAt", "description", "favorited", "favoritesCount"),
    *("slug", "tagList", "title", "updatedAt"),
}
COMMENT = AUTHOR | {"body", "createdAt", "id", "updatedAt"}


def under(name: str, fields: set[str]) -> set[str]:
    return {name} | {f"{name}.{field}" for field in fields}


ARTICLE = under("article", SUMMARY | {"body"})
ARTICLES = under("articles", SUMMARY) | {"articlesCount"}
NEEDS_ARTICLE = {401, 403, 404, 422}
# Method and path; the status of success and the fields that it always has; the statuses of its errors by the contract.
ANSWERS: list[tuple[str, str, int, set[str], set[int]]] = [
    ("POST", "/api/users/login", 200, USER, {401, 422}),
    ("POST", "/api/users", 201, USER, {409, 422}),
    ("GET", "/api/user", 200, USER, {401}),
    ("PUT", "/api/user", 200, USER, {401, 409, 422}),
    ("GET", "/api/profiles/{username}", 200, PROFILE, {401, 404, 422}),
    ("POST", "/api/profiles/{username}/follow", 200, PROFILE, {401, 404, 422}),
    ("DELETE", "/api/profiles/{username}/follow", 200, PROFILE, {401, 404, 422}),
    ("GET", "/api/articles/feed", 200, ARTICLES, {401, 422}),
    ("GET", "/api/articles", 200, ARTICLES, {401, 422}),
    ("POST", "/api/articles", 201, ARTICLE, {401, 422}),
    ("GET", "/api/articles/{slug}", 200, ARTICLE, {401, 404, 422}),
    ("PUT", "/api/articles/{slug}", 200, ARTICLE, NEEDS_ARTICLE),
    ("DELETE", "/api/articles/{slug}", 204, set(), NEEDS_ARTICLE),
    ("GET", "/api/articles/{slug}/comments", 200, under("comments", COMMENT), {401, 404, 422}),
    ("POST", "/api/articles/{slug}/comments", 201, under("comment", COMMENT), {401, 404, 422}),
    ("DELETE", "/api/articles/{slug}/comments/{id}", 204, set(), NEEDS_ARTICLE),
    ("POST", "/api/articles/{slug}/favorite", 200, ARTICLE, {401, 404, 422}),
    ("DELETE", "/api/articles/{slug}/favorite", 200, ARTICLE, {401, 404, 422}),
    ("GET", "/api/tags", 200, {"tags"}, set()),
]
# The fields of a body, those that it must have marked by a star.
BODIES = [
    ("POST", "/api/users/login", "user", {"email*", "password*"}),
    ("POST", "/api/users", "user", {"username*", "email*", "password*"}),
    ("PUT", "/api/user", "user", {"username", "email", "password", "bio", "image"}),
    ("POST", "/api/articles", "article", {"title*", "description*", "body*", "tagList"}),
    ("PUT", "/api/articles/{slug}", "article", {"title", "description", "body", "tagList"}),
    ("POST", "/api/articles/{slug}/comments", "comment", {"body*"}),
]
QUERIES = [
    ("/api/articles", {"tag", "author", "favorited", "limit", "offset", "cursor"}),
    ("/api/articles/feed", {"limit", "offset", "cursor"}),
    ("/api/users", {"limit", "cursor"}),
]


def fields_of(document: OpenApiDocument, schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The required fields of a schema, those of nested objects and of an array's objects after a dot."""
    schema = document.resolve(schema)
    if schema.get("type") == "array":
        yield from fields_of(document, schema["items"], prefix)
    for name in schema.get("required", []):
        yield prefix + name
        yield from fields_of(document, schema["properties"][name], f"{prefix}{name}.")


def schema_of(document: OpenApiDocument, content: dict[str, Any]) -> dict[str, Any]:
    return document.resolve(content)["content"]["application/json"]["schema"]


async def test_the_document_is_valid_openapi(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/openapi.json")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["openapi"].startswith("3.1")
    validate(answer.json())


async def test_operations_document_what_they_answer(openapi_document: OpenApiDocument) -> None:
    for method, path, status, fields, errors in ANSWERS:
        responses = openapi_document.operations()[method, path]["responses"]
        assert {int(each) for each in responses if each.startswith("2")} == {status}
        assert errors <= {int(each) for each in responses}, path
        if fields:
            assert fields <= set(fields_of(openapi_document, schema_of(openapi_document, responses[str(status)])))
        for error in {each for each in responses if each >= "400"}:
            assert set(fields_of(openapi_document, schema_of(openapi_document, responses[error]))) == {"errors"}


async def test_operations_document_what_they_take(openapi_document: OpenApiDocument) -> None:
    for method, path, envelope, fields in BODIES:
        body = openapi_document.resolve(openapi_document.operations()[method, path]["requestBody"])
        outer = openapi_document.resolve(schema_of(openapi_document, body))
        inner = openapi_document.resolve(outer["properties"][envelope])
        required = set(inner.get("required", []))

        assert body["required"]
        assert outer["required"] == [envelope]
        assert fields <= {name + "*" * (name in required) for name in inner["properties"]}


async def test_other_operations_take_no_body(openapi_document: OpenApiDocument) -> None:
    with_body = {key for key, operation in openapi_document.operations().items() if "requestBody" in operation}

    assert with_body == {(method, path) for method, path, _, _ in BODIES}


async def test_every_parameter_of_a_path_is_documented(openapi_document: OpenApiDocument) -> None:
    for (_, path), operation in openapi_document.operations().items():
        parameters = [openapi_document.resolve(each) for each in operation.get("parameters", [])]
        in_path = [each for each in parameters if each["in"] == "path"]
        assert {each["name"] for each in in_path} == set(re.findall(r"{(\w+)}", path))
        assert all(each["required"] for each in in_path)


async def test_every_parameter_of_a_query_is_documented(openapi_document: OpenApiDocument) -> None:
    for path, names in QUERIES:
        operation = openapi_document.operations()["GET", path]
        parameters = [openapi_document.resolve(each) for each in operation.get("parameters", [])]
        assert {each["name"] for each in parameters if each["in"] == "query"} == names
        assert not any(each.get("required") for each in parameters)


async def test_the_document_says_where_a_token_belongs(openapi_document: OpenApiDocument) -> None:
    schemes = openapi_document.document["components"]["securitySchemes"]

    for (method, path), operation in openapi_document.operations().items():
        needs_token = (method, path) in NEED_TOKEN
        assert bool(operation.get("security")) >= needs_token, (method, path)
        if needs_token:
            assert {} not in operation["security"], (method, path)
            assert all(name in schemes for requirement in operation["security"] for name in requirement)
        else:
            assert {} in operation.get("security", [{}]), (method, path)


NEED_TOKEN = {
    ("GET", "/api/user"),
    ("PUT", "/api/user"),
    ("DELETE", "/api/user/tokens"),
    ("POST", "/api/profiles/{username}/follow"),
    ("DELETE", "/api/profiles/{username}/follow"),
    ("GET", "/api/articles/feed"),
    ("GET", "/api/articles/export"),
    ("POST", "/api/articles"),
    ("PUT", "/api/articles/{slug}"),
    ("DELETE", "/api/articles/{slug}"),
    ("POST", "/api/articles/{slug}/comments"),
    ("DELETE", "/api/articles/{slug}/comments/{id}"),
    ("POST", "/api/articles/{slug}/favorite"),
    ("DELETE", "/api/articles/{slug}/favorite"),
}


async def test_the_docs_page_needs_no_other_host(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/docs")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    files = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert len(files) >= 6
    for file in files:
        assert (await client.get(f"/{file}")).status_code == 200
    assert not re.search(r"@import|url\(\s*[\"']?(https?:)?//", answer.text)


async def test_no_word_of_it_names_the_database_server(client: httpx2.AsyncClient) -> None:
    for path in ("/openapi.json", "/docs"):
        assert "postgres" not in (await client.get(path)).text.lower()


async def test_every_body_has_an_example_that_empties_nothing(openapi_document: OpenApiDocument) -> None:
    for method, path, envelope, _ in BODIES:
        body = openapi_document.operations()[method, path]["requestBody"]
        example = body["content"]["application/json"]["example"]

        assert example[envelope], (method, path)
        assert None not in example[envelope].values()


async def test_lists_tell_of_their_link_and_refusals_of_their_patience(openapi_document: OpenApiDocument) -> None:
    operations = openapi_document.operations()

    for path in ("/api/articles", "/api/articles/feed", "/api/users"):
        assert set(operations["GET", path]["responses"]["200"]["headers"]) == {"Link"}
        assert set(operations["GET", path]["responses"]["503"]["headers"]) == {"Retry-After"}


async def test_a_post_with_a_token_documents_its_key(openapi_document: OpenApiDocument) -> None:
    take_key: set[str] = set()
    for (_, path), operation in openapi_document.operations().items():
        headers = [each["name"] for each in operation["parameters"] if each["in"] == "header"]
        if headers:
            assert headers == ["Idempotency-Key"], path
            take_key.add(operation["operationId"])
            assert {"400", "401", "409", "413", "422"} <= set(operation["responses"])
            assert set(operation["responses"]["409"]["headers"]) == {"Retry-After"}
            assert ["Idempotent-Replayed" in each.get("headers", {}) for each in operation["responses"].values()].count(
                True
            ) == 1

    assert take_key == {"CreateArticle", "CreateArticleComment", "CreateArticleFavorite", "FollowUserByUsername"}
