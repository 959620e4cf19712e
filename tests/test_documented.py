"""The check that every answer in the tests goes through."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from jsonschema import ValidationError

from tests.documented import OpenApiDocument

NAME = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
ERRORS = {"description": "", "content": {"application/json": {"schema": {"type": "object"}}}}
THING = {
    "get": {
        "responses": {
            "200": {
                "description": "",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Name"}}},
            },
            "422": {"$ref": "#/components/responses/Errors"},
        }
    },
    "delete": {"responses": {"204": {"description": ""}}},
}
DOCUMENT = OpenApiDocument(
    {
        "paths": {"/things/{id}": THING, "/things/first": {"get": {"responses": {"204": {"description": ""}}}}},
        "components": {"schemas": {"Name": NAME}, "responses": {"Errors": ERRORS}},
    }
)


def answer(method: str, path: str, status: int, json: Any = None) -> httpx2.Response:
    return httpx2.Response(status, json=json, request=httpx2.Request(method, f"http://testserver{path}"))


@pytest.mark.parametrize(
    "promised",
    [
        answer("GET", "/things/1", 200, {"name": "ann"}),
        answer("GET", "/things/1", 422, {"errors": {"id": ["is odd"]}}),
        answer("DELETE", "/things/1", 204),
        answer("GET", "/things/first", 204),
        answer("GET", "/nothing", 404, {"errors": {"path": ["not found"]}}),
        answer("PUT", "/things/1", 405, {"errors": {"method": ["not allowed"]}}),
    ],
)
def test_an_answer_that_the_document_promises_passes(promised: httpx2.Response) -> None:
    DOCUMENT.check(promised)


@pytest.mark.parametrize(
    "broken",
    [
        answer("GET", "/things/1", 200, {"name": 1}),
        answer("GET", "/things/1", 200, {}),
        answer("GET", "/things/1", 201, {"name": "ann"}),
        answer("GET", "/things/1", 500, {"errors": {"server": ["failed"]}}),
        answer("GET", "/things/1", 422, {"errors": {}}),
        answer("GET", "/things/1", 422, {"errors": {"id": []}}),
        answer("GET", "/things/1", 422, {"errors": {"id": [1]}}),
        answer("GET", "/things/first", 200, {"name": "ann"}),
        answer("DELETE", "/things/1", 204, {"name": "ann"}),
        answer("PUT", "/things/1", 200, {"name": "ann"}),
        answer("GET", "/nothing", 200, {}),
    ],
)
def test_an_answer_that_the_document_does_not_promise_fails(broken: httpx2.Response) -> None:
    with pytest.raises((AssertionError, ValidationError)):
        DOCUMENT.check(broken)


def test_an_error_without_the_form_of_errors_fails() -> None:
    with pytest.raises(KeyError):
        DOCUMENT.check(answer("GET", "/things/1", 422, {"detail": "is odd"}))
