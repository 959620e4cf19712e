"""A Starlette route that answers with bytes that it is given: what the server and framework cost without the work.

    BARE='{"/api/tags": "…"}' python -m benchmarks.http.bare PORT

Paths without parameters, since what a router costs is not what is asked for here.
"""

import json
import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.server import serve


def route(path: str, body: bytes) -> Route:
    """Return the route that answers with these bytes."""

    async def answer(request: Request) -> Response:
        return Response(body, media_type="application/json")

    return Route(path, answer)


if __name__ == "__main__":
    answers: dict[str, str] = json.loads(os.environ["BARE"])
    serve(Starlette(routes=[route(path, body.encode()) for path, body in answers.items()]))
