"""/openapi.json: the operations, their bodies and answers, from the same declarations that the routes come from."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from app.handlers.bodies import RequestBody
from app.handlers.operations import Operation
from app.handlers.requests import MAX_BIGINT

Schema = dict[str, Any]

REFUSALS = {
    400: "The body is not a JSON object.",
    401: "The token is missing or invalid, or the credentials are wrong.",
    403: "It belongs to someone else.",
    404: "There is no such thing.",
    409: "The value is taken.",
    413: "The body is too long.",
    422: "A value is not allowed.",
    500: "The service failed; its log says why.",
    503: "The service cannot answer right now; with `Retry-After` nothing was stored.",
    504: "It took too long, and nothing was stored.",
}
ERRORS: Schema = {
    "title": "Errors",
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}
    },
}


ABOUT = """
The [RealWorld](https://docs.realworld.show) API, and what it leaves out: cursors, an export, health.

To send what needs a token: run **POST /api/users** (or **/api/users/login**, for an account that there is), copy the
value of `token` from its answer, press **Authorize** and paste it. A lock marks the operations that take a token.

Lists tell in their `Link` header where they go on. The description for machines is [openapi.json](openapi.json).
""".strip()
# What the path can hold; a longer value names nothing.
PATH_PARAMETERS: dict[str, Schema] = {
    "id": {
        "description": "The number of the comment.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_BIGINT},
    },
    "slug": {
        "description": "The article's `slug`, from the answer to publishing it or from a list.",
        "schema": {"type": "string", "minLength": 1},
    },
    "username": {
        "description": "The account's name.",
        "schema": {"type": "string", "minLength": 1},
        "example": "ann",
    },
}
LINK: Schema = {
    "description": 'Where the list goes on, `</api/articles?cursor=…>; rel="next"`; absent on the last page.',
    "schema": {"type": "string"},
}
RETRY_AFTER: Schema = {
    "description": "After how many seconds to try again; absent where the change may be stored.",
    "schema": {"type": "integer", "minimum": 0},
}


def openapi_document(title: str, version: str, operations: Sequence[Operation]) -> Schema:
    """The OpenAPI 3.1 document of these operations."""
    schemas = _schemas(operations)
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": ABOUT},
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Errors": ERRORS},
            "securitySchemes": {
                "Token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The `token` from the answer to registering or logging in. It is sent as"
                    " `Authorization: Bearer …`; `Token …`, as RealWorld's front ends send it, is taken, too.",
                }
            },
        },
    }


def _operation(operation: Operation) -> Schema:
    entry: Schema = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.body:
        entry["requestBody"] = {"required": True, "content": _body(*operation.body)}
    if operation.viewer != "ignored":
        entry["security"] = [{"Token": []}] if operation.viewer == "required" else [{"Token": []}, {}]
        needed = (
            "Needs a token." if operation.viewer == "required" else "Works without a token, and says more with one."
        )
        entry["description"] = needed
    else:
        entry["description"] = "Open to everybody, without a token."
    return entry


def _parameters(operation: Operation) -> list[Schema]:
    in_path = [
        {"name": name, "in": "path", "required": True, **PATH_PARAMETERS[name]}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    in_query = [
        {"name": each.name, "in": "query", "required": False, "description": each.description, "schema": each.schema}
        for each in operation.query
    ]
    return in_path + in_query


def _responses(operation: Operation) -> Schema:
    answer: Schema = {"description": (operation.answer.__doc__ if operation.answer else None) or "Done."}
    if operation.answer:
        first, *others = operation.media_types
        answer["content"] = {first: {"schema": _reference(operation.answer)}}
        answer["content"] |= {other: {"schema": {"type": "string"}} for other in others}
    if any(each.name == "cursor" for each in operation.query):
        answer["headers"] = {"Link": LINK}
    refusal = _json({"$ref": "#/components/schemas/Errors"})
    refusals = {str(s): {"description": REFUSALS[s], "content": refusal} for s in _refusals(operation)}
    if "503" in refusals and operation.tag != "Health":
        refusals["503"]["headers"] = {"Retry-After": RETRY_AFTER}
    if operation.tag == "Health":
        refusals = {status: {**each, "content": answer["content"]} for status, each in refusals.items()}
    return {str(operation.status): answer, **refusals}


def _refusals(operation: Operation) -> list[int]:
    understood = {401} if operation.viewer != "ignored" else set[int]()
    if operation.body or operation.query or "{" in operation.path:
        understood.add(422)
    if operation.tag != "Health":
        understood |= {500, 503, 504}
    return sorted({*operation.refusals, *understood})


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _body(name: str, model: type[RequestBody]) -> Schema:
    content = _json(_envelope(name, model))
    content["application/json"]["example"] = {name: model.EXAMPLE}
    return content


def _reference(model: type[object]) -> Schema:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _envelope(name: str, model: type[object]) -> Schema:
    return {"type": "object", "required": [name], "properties": {name: _reference(model)}}


def _schemas(operations: Sequence[Operation]) -> Schema:
    """The JSON schemas of everything that goes in and comes out."""
    bodies = {operation.body[1] for operation in operations if operation.body}
    answers = {operation.answer for operation in operations if operation.answer}
    adapters = [(each.__name__, "validation", TypeAdapter[object](each)) for each in bodies]
    adapters += [(each.__name__, "serialization", TypeAdapter[object](each)) for each in answers]
    _, combined = TypeAdapter.json_schemas(adapters, ref_template="#/components/schemas/{model}")  # pyright: ignore[reportArgumentType] - adapters of many types in one list
    schemas: Schema = combined["$defs"]
    for schema in schemas.values():
        schema["description"] = " ".join(schema.get("description", "").split())
    return dict(sorted(schemas.items()))
