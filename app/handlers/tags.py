"""Tags in use."""

from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from app.http.operations import Operation
from app.http.requests import database
from app.http.responses import json_response
from app.repositories import tags


class ManyTags(TypedDict):
    """Tags in use, sorted."""

    tags: list[str]


async def get_tags(request: Request) -> Response:
    """Get the tags in use."""
    answer: ManyTags = {"tags": (await tags.get_tags(database(request))).names}
    return json_response(answer)


operations = [Operation("GET", "/api/tags", get_tags, "Tags", ManyTags)]
