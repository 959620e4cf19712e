"""What an answer's headers promise: no guessed types, no stored tokens, no framed pages, no foreign addresses."""

from __future__ import annotations

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from app.main import operations
from tests.handlers.people import Person

EVIL = {"Host": "evil.example"}


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/favicon.ico", "/api/tags", "/api/user", "/api/articles/no", "/nowhere"]
)
async def test_no_browser_guesses_the_type_of_a_body(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_a_preflight_and_a_crash_say_it_as_well(client: httpx2.AsyncClient) -> None:
    asked = {"Origin": "https://front.example", "Access-Control-Request-Method": "GET"}
    for answer in (await client.options("/api/tags", headers=asked), await client.post("/api/users", content=b"{")):
        assert answer.headers["x-content-type-options"] == "nosniff"


POLICY = "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Token none"}, {"Origin": "https://front.example"}])
async def test_every_answer_of_every_operation_is_safe_in_a_browser(
    client: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    for operation in operations():
        path = operation.path.format(slug="none-1", username="none", id=1)
        answer = await client.request(operation.method, path, headers=headers)
        assert_safe(answer)
        assert answer.headers["content-security-policy"] == POLICY


def assert_safe(answer: httpx2.Response) -> None:
    """Each header once: two policies, or two that differ, are not what either says."""
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"], answer.url
    assert answer.headers.get_list("referrer-policy") == ["same-origin"], answer.url
    [policy] = answer.headers.get_list("content-security-policy")
    assert "default-src 'none'" in policy, answer.url
    assert "frame-ancestors 'none'" in policy, answer.url
    assert "strict-transport-security" not in answer.headers


async def test_every_answer_of_every_other_route_is_safe_in_a_browser(app: Starlette) -> None:
    paths = {each.path for each in app.routes if isinstance(each, Route | Mount) and not each.path.startswith("/api")}
    files = ("/docs/own/no.js", "/docs/swagger-ui/swagger-ui.css", "/docs/swagger-ui/index.html", "/no", "/api/tags/")
    assert {"/docs", "/monitor", "/metrics", "/openapi.json", "/favicon.ico", "/"} <= paths

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1") as browser:
        # It ends with its client only; to another host's page it is refused.
        assert_safe(await browser.get("http://elsewhere.example/monitor/events"))
        for path in (*paths - {"/monitor/events"}, *files):
            for method in ("GET", "HEAD", "POST", "OPTIONS"):
                assert_safe(await browser.request(method, path.format(name="x", pid="1")))


async def test_no_cache_keeps_what_is_for_one_viewer(client: httpx2.AsyncClient, ann: Person) -> None:
    article = await ann.writes()
    for path in ("/api/articles", "/api/articles/feed", f"/api/articles/{article['slug']}", "/api/articles/export"):
        assert (await ann.get(path)).headers.get_list("cache-control") == ["no-store"], path
        assert "cache-control" not in (await client.get("/api/articles")).headers


async def test_no_cache_keeps_an_answer_with_a_token(client: httpx2.AsyncClient, ann: Person) -> None:
    user = {"username": "zoe", "email": "zoe@example.com", "password": "correct horse"}
    answers = [
        await client.post("/api/users", json={"user": user}),
        await client.post("/api/users/login", json={"user": {key: user[key] for key in ("email", "password")}}),
        await client.get("/api/user", headers=ann.headers),
        await client.put("/api/user", json={"user": {"bio": "x"}}, headers=ann.headers),
    ]

    for answer in answers:
        assert answer.json()["user"]["token"]
        assert answer.headers["cache-control"] == "no-store"


async def test_no_page_is_shown_inside_another(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/docs")

    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"


async def test_the_address_of_the_service_leads_to_the_docs(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/", headers=EVIL)

    assert (answer.status_code, answer.headers["location"]) == (307, "docs")
    assert (await client.get("/docs")).headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/api/tags/", "/api/articles/?limit=1&tag=a%2Fb", "/docs/", "/api/profiles/b%C3%A9/"])
async def test_a_location_is_a_path_whatever_host_was_named(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers=EVIL)

    assert answer.status_code == 307
    assert answer.headers["location"] == path.replace("/?", "?").removesuffix("/")


@pytest.mark.parametrize("path", ["//evil.example/docs/", "//evil.example//", "/%2F/evil.example/"])
async def test_no_path_sends_a_client_elsewhere(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(f"http://test{path}")

    location = answer.headers.get("location", "/")
    assert location.startswith("/")
    assert not location.startswith("//")


async def test_there_is_a_favicon(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/favicon.ico")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.text.startswith("<svg")
