"""Checks answers against the service's own OpenAPI document."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2
from jsonschema import Draft202012Validator

# What a description of the API does not describe: itself, and what leads to it.
_ITSELF = {"/", "/openapi.json", "/docs", "/docs/", "/favicon.ico"}
_PARAMETER = re.compile(r"\\\{[^/]+?\\\}")


class OpenApiDocument:
    """An OpenAPI 3.1 document that knows which operation answered, and what that answer may look like."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        prefix = httpx2.URL(document.get("servers", [{"url": ""}])[0]["url"]).path.rstrip("/")
        self._prefix = prefix
        self._paths = [(_pattern(prefix + path), path) for path in sorted(document["paths"], key=_specificity)]

    def operations(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The documented operations by method and full path."""
        return {
            (method.upper(), self._prefix + path): operation
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
            if method in {"get", "put", "post", "delete", "patch"}
        }

    def check(self, response: httpx2.Response) -> None:
        """Fail with AssertionError unless the answer is one the document promises; `response` has been read."""
        request = response.request
        if request.url.path in _ITSELF or request.url.path.startswith("/docs/") or request.method == "OPTIONS":
            return
        if response.status_code >= 400:
            self._check_error(response)
        operation = self._operation(request.method, request.url.path)
        if operation is None and response.status_code == 307:
            # The same path with a slash too many.
            assert self._operation(request.method, request.url.path.rstrip("/")), _undocumented(response)
            return
        if operation is None:
            assert response.status_code in {404, 405}, _undocumented(response)
            return
        self._check_body(response, operation)

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        """The node itself, or what its $ref refers to."""
        while "$ref" in node:
            target: Any = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        verb = "get" if method == "HEAD" else method.lower()
        for pattern, template in self._paths:
            if pattern.fullmatch(path):
                return self.document["paths"][template].get(verb)
        return None

    def _check_body(self, response: httpx2.Response, operation: dict[str, Any]) -> None:
        assert str(response.status_code) in operation["responses"], _undocumented(response)
        content = self.resolve(operation["responses"][str(response.status_code)]).get("content")
        if not content or response.request.method == "HEAD":
            assert response.content == b"", f"{_name(response)} has a body, the document says it has none"
            return
        media_type = response.headers["content-type"].partition(";")[0]
        assert media_type in content, f"{_name(response)} is {media_type}, the document says {sorted(content)}"
        # A reference within the schema starts at the root, which is the document: its components go along.
        schema = {**content[media_type]["schema"], "components": self.document["components"]}
        validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        if media_type.startswith("text/"):
            return
        # Not splitlines(), which ends lines at other characters too, and JSON has those as they are.
        documents = response.text.split("\n")[:-1] if media_type == "application/x-ndjson" else [response.text]
        for document in documents:
            validator.validate(json.loads(document))  # pyright: ignore[reportUnknownMemberType] - jsonschema has partial types

    def _check_error(self, response: httpx2.Response) -> None:
        """Health has a form of its own; an answer to HEAD has no body."""
        if response.request.method == "HEAD" or response.request.url.path.startswith("/health"):
            return
        assert response.headers["content-type"] == "application/json", _name(response)
        errors = response.json()["errors"]
        assert errors, _name(response)
        for field, messages in errors.items():
            assert field, errors
            assert messages, errors
            assert all(isinstance(message, str) and message for message in messages), errors


def outcome(response: httpx2.Response) -> tuple[int, dict[str, list[str]]]:
    """The status and the messages by field of an error."""
    return response.status_code, response.json()["errors"]


def fields_at_fault(response: httpx2.Response) -> tuple[int, set[str]]:
    """The status and the fields of an error, whatever its messages say."""
    return response.status_code, set(response.json()["errors"])


def _specificity(path: str) -> tuple[int, str]:
    return path.count("{"), path


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_PARAMETER.sub("[^/]+", re.escape(path)), re.DOTALL)


def _name(response: httpx2.Response) -> str:
    return f"{response.request.method} {response.request.url.path} -> {response.status_code}"


def _undocumented(response: httpx2.Response) -> str:
    return f"{_name(response)} is not in the OpenAPI document; it says {response.text[:500]}"
