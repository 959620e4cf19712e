"""/metrics, /monitor and what belongs to them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from app import __version__
from app.db import BinderyError
from app.http.headers import UNFRAMED
from app.monitor.access import Access
from app.monitor.formats import short, show_ago, show_bytes, show_ms, show_seconds
from app.monitor.metrics import exposition
from app.monitor.monitor import EVERY, Monitor
from app.monitor.view import COLUMNS, SORTS, View, by
from app.plans import ExplainError

FILES = Path(__file__).parent / "files"
PARTS = ("banner", "tiles", "charts", "statements", "sessions", "routes", "storage")
# Only what this service sends may run, no style in an element, and no other host is asked.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {**UNFRAMED, "Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}
LONGEST_FORM = 4096  # bytes
Handler = Callable[[Request], Awaitable[Response]]


def monitor_routes(monitor: Monitor, access: Access, environment: str) -> list[BaseRoute]:
    """Return the routes of the monitor."""
    pages = Pages(monitor, access, environment)
    return [
        Route("/metrics", pages.only_allowed(pages.metrics)),
        Route("/monitor", pages.only_allowed(pages.page)),
        Route("/monitor/events", pages.only_allowed(pages.events)),
        Route("/monitor/state", pages.only_allowed(pages.state)),
        Route("/monitor/open", pages.open, methods=["POST"]),
        Route("/monitor/files/{name}", file),
        Route("/monitor/statements/{name}", pages.only_allowed(pages.statement), methods=["GET", "POST"]),
    ]


async def file(request: Request) -> Response:
    """Send the script or the style sheet."""
    name = request.path_params["name"]
    if name not in {"monitor.js", "monitor.css"}:
        raise HTTPException(404)
    return FileResponse(FILES / name, headers={"Cache-Control": "no-cache"})


class Pages:
    """The handlers."""

    def __init__(self, monitor: Monitor, access: Access, environment: str) -> None:
        self._monitor = monitor
        self._access = access
        self._environment = environment
        self._templates = _templates()

    def only_allowed(self, handler: Handler) -> Handler:
        """Return the handler for those who may look; the others are told how."""

        async def handle(request: Request) -> Response:
            return await handler(request) if self._access.allows(request) else self._closed(request)

        return handle

    async def metrics(self, request: Request) -> Response:
        """GET /metrics."""
        server = await self._monitor.server.state()
        body, kind = exposition(self._monitor.snapshots.all(), server, request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": kind, "Cache-Control": "no-store"})

    async def page(self, request: Request) -> Response:
        """GET /monitor."""
        context = self._context(await self._monitor.view(), _sort(request))
        return self._html("page.html", view=context, root="")

    async def events(self, request: Request) -> Response:
        """GET /monitor/events: the parts of the page that have changed, once a second."""
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._events(_sort(request)), media_type="text/event-stream", headers=headers)

    async def state(self, request: Request) -> Response:
        """GET /monitor/state: the figures of the page for programs, as JSON."""
        body = msgspec.json.encode(await self._monitor.view())
        return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})

    async def statement(self, request: Request) -> Response:
        """GET /monitor/statements/{name}, and POST for its plan."""
        query = self._monitor.queries.get(request.path_params["name"])
        if query is None:
            raise HTTPException(404)
        view = await self._monitor.view()
        found: dict[str, Any] = {"plan": None, "problem": None}
        if request.method == "POST":
            try:
                found["plan"] = await self._monitor.plan(query)
            except (BinderyError, ExplainError) as error:
                found["problem"] = str(error)
        row = next((each for each in view.statements if each.name == query.name), None)
        callers = [route for route in view.routes if query.name in route.statements]
        return self._html("statement.html", query=query, row=row, callers=callers, root="../../", **found)

    async def open(self, request: Request) -> Response:
        """POST /monitor/open: take the operator's token from the form."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_FORM:
                raise HTTPException(413)
        token = parse_qs(body.decode(errors="replace")).get("token", [""])[0]
        if not self._access.is_token(token):
            return self._closed(request, "This is not the operator's token.")
        response = RedirectResponse("../monitor", 303, headers=HEADERS)
        self._access.remember(response, request)
        return response

    async def _events(self, sort: str) -> AsyncGenerator[bytes]:
        sent: dict[str, str] = {}
        yield b"retry: 1000\n\n"
        while not self._monitor.stopping:
            view = self._context(await self._monitor.view(), sort)
            parts = {name: self._templates.get_template(f"{name}.html").render(view=view) for name in PARTS}
            changed = {name: html for name, html in parts.items() if sent.get(name) != html}
            sent = parts
            yield b"data: " + msgspec.json.encode(changed) + b"\n\n"
            await asyncio.sleep(EVERY)

    def _context(self, view: View, sort: str) -> "Context":
        return Context(view, sort, self._environment, self._monitor)

    def _html(self, template: str, *, status: int = 200, **context: Any) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(context), status, headers=HEADERS)

    def _closed(self, request: Request, reason: str | None = None) -> Response:
        reason = reason or (
            "The monitor is open to this machine only, and to those who have the operator's token."
            if self._access.has_token
            else "The monitor is open to this machine only. MONITOR_TOKEN opens it to those who have the token."
        )
        if not request.url.path.endswith(("/monitor", "/monitor/open")):
            return Response(f"{reason}\n", 403, media_type="text/plain")
        return self._html("closed.html", status=403, reason=reason, has_token=self._access.has_token, root=_up(request))


class Context:
    """A view as one reader sees it: sorted by what that one chose."""

    def __init__(self, view: View, sort: str, environment: str, monitor: Monitor) -> None:
        self._view = view
        self.sort = sort
        self.environment = environment
        self.version = __version__
        self.statements = by(view.statements, sort)
        self.named = monitor.queries
        extension = [] if view.extension is None else [("server", "On the server")]
        self.columns = [*((column.key, column.title) for column in COLUMNS), *extension]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)


def _sort(request: Request) -> str:
    sort = request.query_params.get("sort", "share")
    return sort if sort in SORTS else "share"


def _up(request: Request) -> str:
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    return "../" * (path.count("/") - 1)


def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("app.monitor"), autoescape=True, trim_blocks=True, undefined=StrictUndefined
    )
    templates.filters |= {
        "ms": show_ms, "seconds": show_seconds, "bytes": show_bytes, "ago": show_ago, "short": short
    }  # fmt: skip
    return templates
