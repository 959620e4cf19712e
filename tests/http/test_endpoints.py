"""Operations are found by method and path, and answered as one; everything else is Starlette's."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount

from app.http.endpoints import Service
from app.http.idempotency.once import Once
from app.http.operations import Operation
from app.http.responses import json_response
from app.http.table import Table
from app.http.watch import Watch
from app.repositories import idempotency


async def answer(request: Request) -> Response:
    """Say which parameters were found."""
    return json_response(request.path_params)


async def crash(request: Request) -> Response:
    """Fail."""
    raise ZeroDivisionError


async def crash_early(request: Request) -> Response:
    """Fail while streaming, before the answer begins."""

    class Early(StreamingResponse):
        async def stream_response(self, send: object) -> None:
            raise ZeroDivisionError

    return Early(iter(()))


async def see_other(request: Request) -> Response:
    """Lead elsewhere, by the name that the client gave this host."""
    return Response(status_code=201, headers={"Location": "http://evil.example/x?y=1"})


def operation(path: str, handler: Any = answer, method: str = "GET") -> Operation:
    return Operation(method, path, handler, "Tag")


OPERATIONS = [
    operation("/notes"),
    operation("/notes", see_other, "POST"),
    operation("/notes/newest"),
    operation("/notes/{id}"),
    operation("/notes/{note}", method="PUT"),
    operation("/notes/{id}/parts/{part}"),
    operation("/notes/{id}/parts/{part}", method="PUT"),
    operation("/notes/{id}/parts/first"),
    operation("/crash", crash),
    operation("/early", crash_early),
]


def find(path: str, method: str = "GET", **more: str) -> dict[str, str] | None:
    """The parameters that are found in the path, None where no operation is."""
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, **more}
    return scope["path_params"] if Table(OPERATIONS).find(scope) else None


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/notes", {}),
        ("/notes/newest", {}),
        ("/notes/7", {"id": "7"}),
        ("/notes/new est", {"id": "new est"}),
        ("/notes/7/parts/2", {"id": "7", "part": "2"}),
        ("/notes/7/parts/first", {"id": "7"}),
        ("/notes/", None),
        ("/notes/7/", None),
        ("/notes/7/parts/", None),
        ("/notes//parts/1", None),
        ("/notes/7/others/1", None),
        ("/notes/a/b", None),
        ("/Notes", None),
        ("", None),
        ("*", None),
        ("/", None),
    ],
)
def test_a_path_leads_to_the_most_exact_operation(path: str, params: dict[str, str] | None) -> None:
    assert find(path) == params
    assert find(path, "HEAD") == params
    assert find(path, "DELETE") is None


def test_the_most_exact_path_decides_whatever_the_method() -> None:
    assert find("/notes/7", "PUT") == {"note": "7"}
    assert find("/notes/newest", "PUT") is None
    assert find("/notes/7/parts/2", "PUT") == {"id": "7", "part": "2"}
    assert find("/notes/7/parts/first", "PUT") is None


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/notes", "GET, HEAD, POST"),
        ("PUT", "/notes/newest", "GET, HEAD"),
        ("DELETE", "/notes/7", "GET, HEAD, PUT"),
        ("PUT", "/notes/7/parts/first", "GET, HEAD"),
        ("DELETE", "/notes/7/parts/2", "GET, HEAD, PUT"),
    ],
)
async def test_what_a_path_allows_is_what_it_answers(
    web: httpx2.AsyncClient, method: str, path: str, allowed: str
) -> None:
    refused = await web.request(method, path)

    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    for each in allowed.split(", "):
        assert (await web.request(each, path)).status_code < 400


def test_below_a_prefix_the_path_without_it_counts() -> None:
    assert find("/below/notes/7", root_path="/below") == {"id": "7"}
    assert find("/below/notes/7") is None


@pytest.fixture
def app() -> Starlette:
    """A service with these operations."""
    cors = Middleware(CORSMiddleware, allow_origins=["*"])
    once = Once(idempotency.try_lock, idempotency.find_answer, idempotency.create_answer)
    return Service(OPERATIONS, {}, cors, [], lifespan=None, watch=Watch(), once=once)


@pytest.fixture
async def web(app: Starlette) -> Any:
    """A client of it."""
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://front.example"}], ids=["same origin", "other origin"])
async def test_answers_are_alike_for_every_origin_but_for_its_headers(
    web: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    found = await web.get("/notes/7", headers=headers)
    assert (found.status_code, found.json()) == (200, {"id": "7"})
    for path in ("/crash", "/early"):
        crashed = await web.get(path, headers=headers)
        assert (crashed.status_code, list(crashed.json())) == (500, ["errors"])
    missing = await web.get("/nothing", headers=headers)
    assert (await web.get("/notes%0A", headers=headers)).status_code == 404
    refused = await web.put("/notes", headers=headers)
    assert (missing.status_code, refused.status_code) == (404, 405)
    assert {"GET", "POST"} <= {each.strip() for each in refused.headers["allow"].split(",")}
    for each in (found, crashed, missing, refused):
        assert each.headers["x-content-type-options"] == "nosniff"
        assert each.headers.get_list("vary") == ["Origin"]
        assert each.headers.get("access-control-allow-origin") == ("*" if headers else None)


async def test_a_location_names_no_host(web: httpx2.AsyncClient) -> None:
    created = await web.post("/notes")
    assert (created.status_code, created.headers["location"]) == (201, "/x?y=1")


async def test_a_service_below_a_prefix_answers_there(app: Starlette) -> None:
    outer = Starlette(routes=[Mount("/below", app)])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(outer), base_url="http://test") as client:
        assert (await client.get("/below/notes/7")).json() == {"id": "7"}
        assert (await client.get("/notes/7")).status_code == 404
