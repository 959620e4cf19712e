"""Tags in use."""

from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from app.handlers.operations import Operation
from app.handlers.requests import database
from app.handlers.responses import json_response
from app.repositories import tags


class ManyTags(TypedDict):
    """Tags in use, sorted."""

    tags: list[str]


async def get_tags(request: Request) -> Response:
    """Get the tags in use."""
    answer: ManyTags = {"tags": await tags.list_tags(database(request))}
    return json_response(answer)


operations = [Operation("GET", "/api/tags", get_tags, "Tags", ManyTags)]
