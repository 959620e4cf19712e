"""/docs: swagger-ui from its package, on this service's own OpenAPI document, without any other host."""

from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from swagger_ui_bundle import swagger_ui_path  # pyright: ignore[reportMissingTypeStubs] - it has none

from app.http.headers import UNFRAMED

_OWN = Path(__file__).parent / "docs_page"
# Only what this service sends may run, and only this service is asked. swagger-ui's pictures are data.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def docs_routes(title: str) -> list[BaseRoute]:
    """Return the routes of the page at /docs and of its files. `title` is plain text."""
    page = Template((_OWN / "page.html").read_text(encoding="utf-8")).substitute(title=escape(title))
    headers = {**UNFRAMED, "Content-Security-Policy": _POLICY}

    async def docs(_: Request) -> Response:
        return HTMLResponse(page, headers=headers)

    return [
        Route("/docs", docs),
        Mount("/docs/own", StaticFiles(directory=_OWN)),
        Mount("/docs/swagger-ui", StaticFiles(directory=str(swagger_ui_path))),
    ]
