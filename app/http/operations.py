"""Operations: each is a route and an entry of /openapi.json, declared once."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.http.bodies import RequestBody

_PARAMETER = re.compile(r"\{[^}]*\}")
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter: its name, what it is for, and its JSON schema."""

    name: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One method of one path: its handler, and what goes in and comes out.

    `body` is the envelope's name and the object inside it. `answer` is a TypedDict, None for no content. `refusals` are
    its other statuses, without 401 and 422, which follow from a viewer, a body or a parameter. An
    operation is equal only to itself.
    """

    method: str
    path: str
    handler: Handler
    tag: str
    answer: type[object] | None = None
    status: int = 200
    viewer: Literal["required", "optional", "ignored"] = "ignored"
    body: tuple[str, type[RequestBody]] | None = None
    query: tuple[Parameter, ...] = ()
    refusals: tuple[int, ...] = ()
    media_types: tuple[str, ...] = ("application/json",)
    """The first one has lines or documents of `answer`; the others are text."""

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that it answers: with GET also HEAD."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)

    @property
    def takes_key(self) -> bool:
        """Whether clients may repeat it with an Idempotency-Key: what is written belongs to a user."""
        return self.method == "POST" and self.viewer == "required"

    @property
    def id(self) -> str:
        """The operationId: the handler's name in camel case, `ListNotes`."""
        return "".join(word.title() for word in self.handler.__name__.split("_"))

    @property
    def summary(self) -> str:
        """What it does: the first line of the handler's docstring."""
        return (self.handler.__doc__ or "").partition("\n")[0]


def routes(operations: Sequence[Operation]) -> list[Route]:
    """Return one route for each path, those with few parameters first, for the methods that are no operations."""
    paths: dict[str, tuple[str, set[str]]] = {}
    for operation in sorted(operations, key=lambda operation: operation.path.count("{")):
        _, methods = paths.setdefault(_PARAMETER.sub("{}", operation.path), (operation.path, set()))
        methods.update(operation.methods)
    return [Route(path, NoOperation(frozenset(methods))) for path, methods in paths.values()]


@dataclass(frozen=True, slots=True)
class NoOperation:
    """ASGI application for the path of an operation: 405 for other methods than its own, whose list is in `Allow`."""

    methods: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise the answer. 404 for what the router takes for this path, and the table of operations does not."""
        if scope["method"] in self.methods:
            raise HTTPException(404)
        raise HTTPException(405, headers={"Allow": ", ".join(sorted(self.methods))})
