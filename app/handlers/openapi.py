"""/openapi.json: the operations, their bodies and answers, from the same declarations that the routes come from."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from app.handlers.operations import Operation

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


def openapi_document(title: str, version: str, operations: Sequence[Operation]) -> Schema:
    """The OpenAPI 3.1 document of these operations."""
    schemas = _schemas(operations)
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Errors": ERRORS},
            "securitySchemes": {
                "Token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "`Token <jwt>`, from registering or logging in; `Bearer <jwt>` is taken too.",
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
        entry["requestBody"] = {"required": True, "content": _json(_envelope(operation.body[0], operation.body[1]))}
    if operation.viewer != "ignored":
        entry["security"] = [{"Token": []}] if operation.viewer == "required" else [{"Token": []}, {}]
    return entry


def _parameters(operation: Operation) -> list[Schema]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if name == "id" else "string"}}
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
    refusal = _json({"$ref": "#/components/schemas/Errors"})
    refusals = {str(s): {"description": REFUSALS[s], "content": refusal} for s in _refusals(operation)}
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
