"""/openapi.json: operations, bodies and answers, from the declarations that the routes come from."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from app.http.api import Api
from app.http.bodies import RequestBody
from app.http.idempotency.key import HEADER, LONGEST_KEY
from app.http.operations import Operation

Schema = dict[str, Any]
_TEXT: Schema = {"schema": {"type": "string", "minLength": 1}}

REFUSALS = {
    400: "The body is not a JSON object.",
    401: "The token is missing or invalid, or the credentials are wrong.",
    403: "It belongs to someone else.",
    404: "There is no such thing.",
    409: "The value is taken.",
    413: "The body is too long.",
    422: "A value is not allowed.",
    429: "Too many such requests failed; `Retry-After` says when to try again.",
    500: "The service failed; its log says why.",
    503: "The service cannot answer right now; with `Retry-After` repeating it stores nothing twice.",
    504: "It took too long, and nothing was stored.",
}
# What the header adds to them, where an operation takes it.
KEY_REFUSALS = {
    400: "The Idempotency-Key is malformed.",
    409: "The request with this Idempotency-Key is not answered yet: repeat it after `Retry-After`.",
    413: "",
    422: "The Idempotency-Key was used for another request.",
}
ERRORS: Schema = {
    "title": "Errors",
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}}
    },
}

LINK: Schema = {
    "description": 'Where the list goes on, `<…?cursor=…>; rel="next"`; absent on the last page.',
    "schema": {"type": "string"},
}
_KEY = r'^("([ !#-\[\]-~]|\\["\\])+"|[!#-+\--:<-\[\]-~]+)$'
# Without an example: the docs page would send it each time, and a key is for one request.
IDEMPOTENCY_KEY: Schema = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A new text for each request, such as a UUID, in double quotes or without. A client that got no"
    " answer repeats the request with the same key: it is done once, and answered as the first time.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY + 2, "pattern": _KEY},
}
REPLAYED: Schema = {
    "description": "`true` where the answer is that of an earlier request with the same Idempotency-Key.",
    "schema": {"type": "string", "enum": ["true"]},
}
RETRY_AFTER: Schema = {
    "description": "After how many seconds to try again; absent where the change may be stored.",
    "schema": {"type": "integer", "minimum": 0},
}


def openapi_document(version: str, api: Api, operations: Sequence[Operation]) -> Schema:
    """Return the OpenAPI 3.1 document of these operations; `api` has its title and texts."""
    schemas = _schemas(operations)
    paths: dict[str, Schema] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, api)
    return {
        "openapi": "3.1.0",
        "info": {"title": api.title, "version": version, "description": api.about},
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations)],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Errors": ERRORS},
            "securitySchemes": {
                "Token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Sent as `Authorization: Bearer …`; `Token …` is accepted, too.",
                }
            },
        },
    }


def _operation(operation: Operation, api: Api) -> Schema:
    entry: Schema = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": _parameters(operation, api),
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


def _parameters(operation: Operation, api: Api) -> list[Schema]:
    in_path = [
        {"name": name, "in": "path", "required": True, **api.path_parameters.get(name, _TEXT)}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    in_query = [
        {"name": each.name, "in": "query", "required": False, "description": each.description, "schema": each.schema}
        for each in operation.query
    ]
    return in_path + in_query + ([IDEMPOTENCY_KEY] if operation.takes_key else [])


def _responses(operation: Operation) -> Schema:
    answer: Schema = {"description": (operation.answer.__doc__ if operation.answer else None) or "Done."}
    if operation.answer:
        first, *others = operation.media_types
        answer["content"] = {first: {"schema": _reference(operation.answer)}}
        answer["content"] |= {other: {"schema": {"type": "string"}} for other in others}
    if any(each.name == "cursor" for each in operation.query):
        answer["headers"] = {"Link": LINK}
    if operation.takes_key:
        answer["headers"] = {"Idempotent-Replayed": REPLAYED}
    refusal = _json({"$ref": "#/components/schemas/Errors"})
    refusals = {str(s): {"description": _refusal(operation, s), "content": refusal} for s in _refusals(operation)}
    if operation.tag != "Health":
        refusals["503"]["headers"] = {"Retry-After": RETRY_AFTER}
    if operation.takes_key:
        refusals["409"]["headers"] = {"Retry-After": RETRY_AFTER}
    if "429" in refusals:
        refusals["429"]["headers"] = {"Retry-After": RETRY_AFTER}
    if operation.tag == "Health":
        refusals = {status: {**each, "content": answer["content"]} for status, each in refusals.items()}
    return {str(operation.status): answer, **refusals}


def _refusals(operation: Operation) -> list[int]:
    understood = {401} if operation.viewer != "ignored" else set[int]()
    if operation.body or operation.query or "{" in operation.path:
        understood.add(422)
    if operation.tag != "Health":
        understood |= {500, 503, 504}
    if operation.takes_key:
        understood |= KEY_REFUSALS.keys()
    return sorted({*operation.refusals, *understood})


def _refusal(operation: Operation, status: int) -> str:
    """Return what the status says of this operation."""
    if not operation.takes_key or status not in KEY_REFUSALS:
        return REFUSALS[status]
    # 409 and 400 have no other reason where the operation does not declare them.
    usual = REFUSALS[status] if status in {413, 422, *operation.refusals} else ""
    return f"{usual} {KEY_REFUSALS[status]}".strip()


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
    """Return the JSON schemas of all bodies and answers."""
    bodies = {operation.body[1] for operation in operations if operation.body}
    answers = {operation.answer for operation in operations if operation.answer}
    adapters = [(each.__name__, "validation", TypeAdapter[object](each)) for each in bodies]
    adapters += [(each.__name__, "serialization", TypeAdapter[object](each)) for each in answers]
    _, combined = TypeAdapter.json_schemas(adapters, ref_template="#/components/schemas/{model}")  # pyright: ignore[reportArgumentType] - adapters of many types in one list
    schemas: Schema = combined["$defs"]
    for schema in schemas.values():
        schema["description"] = " ".join(schema.get("description", "").split())
    return dict(sorted(schemas.items()))
