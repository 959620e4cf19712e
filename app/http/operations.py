"""Operations: each is a route and an entry of /openapi.json, declared once."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.http.bodies import RequestBody

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
    """Return one route for each path: its answer to a method that is no operation lists the others."""
    methods: dict[str, list[str]] = {}
    for operation in operations:
        methods.setdefault(operation.path, []).append(operation.method)
    return [Route(path, _not_found, methods=allowed) for path, allowed in methods.items()]


async def _not_found(_: Request) -> Response:
    """Answer what the router takes for the path of an operation, and the table of operations does not."""
    raise HTTPException(404)
