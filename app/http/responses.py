"""Answers: what the contract calls things, as JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic_core import to_json
from starlette.responses import Response


def json_response(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content`, made of dicts, lists, strings, numbers and None, as a JSON answer."""
    return Response(to_json(content), status, headers=headers, media_type="application/json")


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: `2026-01-31T12:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
