"""Comments on articles."""

from typing import Annotated, Any, ClassVar

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from app.db import NotFound
from app.handlers.profiles import ProfileJson, profile_json
from app.http.bodies import REQUIRED, RequestBody, parse
from app.http.errors import Forbidden
from app.http.operations import Operation
from app.http.requests import database, optional_viewer, path_key, path_text, read_object, required_viewer
from app.http.responses import json_response
from app.repositories import articles, comments
from app.repositories.comments import Comment


class NewComment(RequestBody):
    """A comment to add."""

    EXAMPLE: ClassVar[dict[str, Any]] = {"body": "Mine froze."}

    body: Annotated[str, Field(max_length=10_000), REQUIRED]


class CommentJson(TypedDict):
    """A comment as the viewer sees it."""

    id: int
    createdAt: str
    updatedAt: str
    body: str
    author: ProfileJson


class OneComment(TypedDict):
    """A comment."""

    comment: CommentJson


class ManyComments(TypedDict):
    """The comments on an article."""

    comments: list[CommentJson]


def comment_json(comment: Comment) -> CommentJson:
    """Return the comment as JSON has it."""
    return {
        "id": comment.id,
        "createdAt": comment.created_at,
        "updatedAt": comment.updated_at,
        "body": comment.body,
        "author": profile_json(comment.author),
    }


async def get_article_comments(request: Request) -> Response:
    """Get the comments on an article, newest first."""
    viewer, slug = optional_viewer(request), path_text(request, "slug")
    db = database(request)
    found = await comments.list_comments(db, slug=slug, viewer_id=viewer.id, generation=viewer.generation)
    if not found:
        await articles.get_article_key(db, slug=slug, viewer_id=viewer.id, generation=viewer.generation)
    answer: ManyComments = {"comments": [comment_json(comment) for comment in found]}
    return json_response(answer)


async def create_article_comment(request: Request) -> Response:
    """Comment on an article."""
    author, slug = required_viewer(request), path_text(request, "slug")
    body = await read_object(request)
    db = database(request)
    article = await articles.get_article_key(db, slug=slug, viewer_id=author.id, generation=author.generation)
    new = parse(body, "comment", NewComment)
    comment = await comments.create_comment(db, article_id=article.id, viewer_id=author.id, body=new.body)
    answer: OneComment = {"comment": comment_json(comment)}
    return json_response(answer, 201)


async def delete_article_comment(request: Request) -> Response:
    """Delete a comment of the current user."""
    viewer, slug, comment_id = required_viewer(request), path_text(request, "slug"), path_key(request, "id")
    db = database(request)
    comment = await comments.get_comment_key(
        db, slug=slug, comment_id=comment_id, viewer_id=viewer.id, generation=viewer.generation
    )
    if comment.id is None:
        raise NotFound("comment")
    if comment.author_id != viewer.id:
        raise Forbidden("comment")
    await comments.delete_comment(db, comment_id=comment.id)
    return Response(status_code=204)


_TAG = "Comments"
_ALL = "/api/articles/{slug}/comments"
operations = [
    Operation("GET", _ALL, get_article_comments, _TAG, ManyComments, viewer="optional", refusals=(404,)),
    Operation(
        "POST", _ALL, create_article_comment, _TAG, OneComment, 201, viewer="required",
        body=("comment", NewComment), refusals=(400, 404, 413),
    ),
    Operation(
        "DELETE", _ALL + "/{id}", delete_article_comment, _TAG, status=204, viewer="required", refusals=(403, 404)
    ),
]  # fmt: skip
