"""Browsers call the API from pages of other origins."""

from __future__ import annotations

import httpx2
import pytest

from app.settings import Settings
from tests.handlers.people import Person

ORIGIN = {"Origin": "https://front.example"}


async def preflight(client: httpx2.AsyncClient, path: str, method: str, origin: str) -> httpx2.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return await client.options(path, headers=headers)


def listed(answer: httpx2.Response, header: str) -> set[str]:
    return {value.strip().lower() for value in answer.headers.get(header, "").split(",")}


async def test_a_preflight_allows_the_request_without_a_token(client: httpx2.AsyncClient) -> None:
    for method, path in (
        ("POST", "/api/users"),
        ("GET", "/api/user"),
        ("PUT", "/api/user"),
        ("DELETE", "/api/articles/any-1"),
        ("POST", "/api/articles/any-1/favorite"),
        ("GET", "/api/articles?limit=5"),
    ):
        answer = await preflight(client, path, method, "https://front.example")
        assert answer.status_code in {200, 204}
        assert answer.headers["access-control-allow-origin"] in {"*", "https://front.example"}
        assert method.lower() in listed(answer, "access-control-allow-methods")
        assert {"authorization", "content-type"} <= listed(answer, "access-control-allow-headers")


async def test_a_preflight_allows_the_headers_that_http_libraries_add(client: httpx2.AsyncClient) -> None:
    added = "x-requested-with,traceparent,cache-control,idempotency-key,x-csrf-token"
    asked = {
        "Origin": "https://front.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": added,
    }
    answer = await client.options("/api/articles", headers=asked)

    assert answer.status_code in {200, 204}
    assert set(added.split(",")) <= listed(answer, "access-control-allow-headers")


async def test_answers_can_be_read_from_any_origin(client: httpx2.AsyncClient, ann: Person) -> None:
    for answer in (
        await client.get("/api/tags", headers=ORIGIN),
        await client.get("/api/user", headers={**ORIGIN, **ann.headers}),
    ):
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] in {"*", "https://front.example"}


async def test_a_page_can_read_the_link_header(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/articles", headers=ORIGIN)

    assert "link" in listed(answer, "access-control-expose-headers")


async def test_errors_can_be_read_from_any_origin(client: httpx2.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/api/user", 401),
        ("GET", "/api/articles/none-1", 404),
        ("GET", "/api/nothing", 404),
        ("PATCH", "/api/tags", 405),
        ("POST", "/api/users", 400),
        ("GET", "/api/articles?limit=0", 422),
    ):
        answer = await client.request(method, path, headers=ORIGIN)
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] in {"*", "https://front.example"}


class TestOneOrigin:
    """With CORS_ORIGINS set, pages of other origins are refused."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"cors_origins": ("https://front.example",)})

    async def test_its_pages_may_call(self, client: httpx2.AsyncClient) -> None:
        assert (await preflight(client, "/api/user", "PUT", "https://front.example")).status_code in {200, 204}
        answer = await client.get("/api/tags", headers=ORIGIN)
        assert answer.headers["access-control-allow-origin"] == "https://front.example"
        assert "origin" in listed(answer, "vary")

    async def test_pages_of_others_may_not(self, client: httpx2.AsyncClient) -> None:
        answer = await preflight(client, "/api/user", "PUT", "https://other.example")
        assert "access-control-allow-origin" not in answer.headers
        answer = await client.get("/api/tags", headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in answer.headers
