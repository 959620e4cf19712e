"""Favoriting articles."""

from starlette.requests import Request
from starlette.responses import Response

from app.handlers.articles import OneArticle, article_response
from app.http.operations import Operation
from app.http.requests import database, path_text, required_viewer
from app.repositories import favorites


async def create_article_favorite(request: Request) -> Response:
    """Favorite an article."""
    viewer, slug = required_viewer(request), path_text(request, "slug")
    return article_response(
        await favorites.favorite(database(request), viewer_id=viewer.id, generation=viewer.generation, slug=slug)
    )


async def delete_article_favorite(request: Request) -> Response:
    """Unfavorite an article."""
    viewer, slug = required_viewer(request), path_text(request, "slug")
    return article_response(
        await favorites.unfavorite(database(request), viewer_id=viewer.id, generation=viewer.generation, slug=slug)
    )


_TAG = "Favorites"
_FAVORITE = "/api/articles/{slug}/favorite"
operations = [
    Operation("POST", _FAVORITE, create_article_favorite, _TAG, OneArticle, viewer="required", refusals=(404,)),
    Operation("DELETE", _FAVORITE, delete_article_favorite, _TAG, OneArticle, viewer="required", refusals=(404,)),
]
