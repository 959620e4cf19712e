"""What a service consists of: its operations, and what they need. The example's is in app/handlers/conduit.py."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.responses import Response

from app.http.operations import Operation
from app.http.requests import ViewerExists


def _nothing(app: Starlette) -> AbstractAsyncContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Api:
    """The operations of a service.

    `title` is shown on the docs page and `about`, in Markdown, beneath it. `path_parameters` has OpenAPI's description
    of parameters in paths, by name. `answers` turns exceptions of the handlers into answers, beside those of
    app.http.errors. `viewer_exists` raises NotFound("viewer") when a token's user is gone or it was ended. `lifespan`
    opens what the handlers keep on `app.state`, which has the `settings` already.
    """

    title: str
    operations: Sequence[Operation]
    about: str = ""
    path_parameters: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    answers: Mapping[type[Exception], Callable[[Any], Response]] = field(
        default_factory=dict[type[Exception], Callable[[Any], Response]]
    )
    viewer_exists: ViewerExists | None = None
    lifespan: Callable[[Starlette], AbstractAsyncContextManager[None]] = _nothing
