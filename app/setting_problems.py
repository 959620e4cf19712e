"""Says in one line what is wrong with a setting."""

from collections.abc import Mapping
from typing import Literal, get_args, get_origin
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le
from pydantic import FilePath, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails


def describe_problem(fields: Mapping[str, FieldInfo], detail: ErrorDetails) -> str:
    """Return one line: the variable, what is wrong with it, its value unless it is secret, and what is allowed."""
    field, name = fields[str(detail["loc"][0])], str(detail["loc"][0]).upper()
    if detail["type"] == "value_error":
        # Our own validators: they say what is allowed, and repeat no secret.
        return f"{name}: {detail['msg'].removeprefix('Value error, ')}"
    given = "" if SecretStr in get_args(field.annotation) else f" ({detail['input']!r})"
    return f"{name}: {detail['msg'][0].lower()}{detail['msg'][1:]}{given}; allowed: {_allowed(field)}"


def check_origin(origin: str) -> None:
    """Raise ValueError for what is not the origin of a page, nor `*`."""
    parts = urlsplit(origin)
    if origin != "*" and (not parts.netloc or origin != f"{parts.scheme}://{parts.netloc}"):
        raise ValueError(f"{origin!r} is no origin; allowed: * or https://example.org, separated by commas")


def _allowed(field: FieldInfo) -> str:
    choices = [kind for kind in (field.annotation, *get_args(field.annotation)) if get_origin(kind) is Literal]
    if choices:
        return ", ".join(get_args(choices[0]))
    if field.annotation is bool:
        return "true, false"
    if "IPvAnyNetwork" in str(field.annotation):
        return "addresses such as 10.0.0.7 or networks such as 10.0.0.0/8, separated by commas"
    bounds = [bound for item in field.metadata if (bound := _bound(item))]
    if bounds:
        return f"a {'whole ' if field.annotation is int else ''}number, {' and '.join(bounds)}"
    return "the path of a file" if FilePath in get_args(field.annotation) else "text"


def _bound(item: object) -> str | None:
    match item:
        case Ge(ge=limit):
            return f"at least {limit}"
        case Gt(gt=limit):
            return f"more than {limit}"
        case Le(le=limit):
            return f"at most {limit}"
        case _:
            return None
