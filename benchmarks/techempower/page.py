"""What both services share: how a request is read and an answer is written. Only the database's part differs."""

from collections.abc import Awaitable, Callable, Iterable
from html import escape
from random import randint, sample

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from benchmarks.techempower.data import ROWS

Handler = Callable[[Request], Awaitable[Response]]

encode = msgspec.json.Encoder().encode
ADDED = (0, "Additional fortune added at request time.")
HEAD = "<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table><tr><th>id</th><th>message</th></tr>"
TAIL = "</table></body></html>"


def random_key() -> int:
    """Return the key of a row."""
    return randint(1, ROWS)


def random_keys(request: Request) -> list[int]:
    """Return as many different keys as the request asks for: 1 to 500, and 1 for what is no number."""
    asked = request.query_params.get("queries", "")
    count = min(max(int(asked), 1), 500) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
    return sample(range(1, ROWS + 1), count)


def world(key: int, number: int) -> dict[str, int]:
    """Return a row as JSON has it."""
    return {"id": key, "randomNumber": number}


def json_answer(content: object) -> Response:
    """Return the content as JSON."""
    return Response(encode(content), media_type="application/json")


def fortunes_answer(fortunes: Iterable[tuple[int, str]]) -> Response:
    """Return the page with these fortunes and one more, sorted by their text."""
    ordered = sorted([*fortunes, ADDED], key=lambda fortune: fortune[1])
    rows = [f"<tr><td>{key}</td><td>{escape(message)}</td></tr>" for key, message in ordered]
    return Response("".join([HEAD, *rows, TAIL]), media_type="text/html")


async def json(_: Request) -> Response:
    """Answer with an object that is made for this request."""
    return json_answer({"message": "Hello, World!"})


async def plaintext(_: Request) -> Response:
    """Answer with a text."""
    return PlainTextResponse("Hello, World!")


SHARED: dict[str, Handler] = {"json": json, "plaintext": plaintext}


def routes(db: Handler, queries: Handler, updates: Handler, fortunes: Handler) -> list[Route]:
    """Return the routes of the six tests."""
    named = {
        "json": json,
        "plaintext": plaintext,
        "db": db,
        "queries": queries,
        "updates": updates,
        "fortunes": fortunes,
    }
    return [Route(f"/{name}", handler) for name, handler in {**SHARED, **named}.items()]
