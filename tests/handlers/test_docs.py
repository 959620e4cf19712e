import json
from html.parser import HTMLParser
from typing import Any, cast

import pytest
from openapi_spec_validator import validate

from app.handlers.docs import render_docs

DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Library", "version": "1.2.3", "description": "Lends books."},
    "servers": [{"url": "https://library.example/api/"}],
    "tags": [{"name": "Lent books", "description": "Who has what."}],
    "security": [{"Token": []}],
    "paths": {
        "/books/{id}": {
            "parameters": [{"$ref": "#/components/parameters/Id"}],
            "get": {
                "tags": ["Lent books"],
                "summary": "One book",
                "description": "Whoever lent it.",
                "security": [{}, {"Token": []}],
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
                    {
                        "name": "page",
                        "in": "query",
                        "description": "From 1.",
                        "schema": {"type": "integer", "minimum": 1, "default": 7},
                    },
                ],
                "responses": {
                    "200": {
                        "description": "The book.",
                        "headers": {"Link": {"description": "The next book.", "schema": {"type": "string"}}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Book"}}},
                    },
                    "404": {"$ref": "#/components/responses/NotFound"},
                },
            },
            "put": {
                "tags": ["Lent books"],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Book"}}},
                },
                "responses": {"204": {"description": "Stored."}},
            },
        },
        "/hours": {"get": {"security": [], "responses": {"200": {"description": "When it is open."}}}},
    },
    "components": {
        "securitySchemes": {"Token": {"type": "apiKey", "in": "header", "name": "Authorization"}},
        "parameters": {
            "Id": {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 99}}
        },
        "responses": {
            "NotFound": {
                "description": "No such book.",
                "content": {
                    "application/json": {
                        "schema": {"additionalProperties": {"type": "array", "items": {"type": "string"}}}
                    }
                },
            }
        },
        "schemas": {
            "Author": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            "Dated": {"type": "object", "properties": {"printed": {"type": "string", "format": "date"}}},
            "Book": {
                "type": "object",
                "required": ["title"],
                "properties": {
                    "title": {"type": "string", "maxLength": 300, "description": "On the cover."},
                    "subtitle": {"type": ["string", "null"]},
                    "authors": {"type": "array", "items": {"$ref": "#/components/schemas/Author"}},
                    "editor": {"anyOf": [{"$ref": "#/components/schemas/Author"}, {"type": "null"}]},
                    "edition": {"allOf": [{"$ref": "#/components/schemas/Dated"}]},
                    "binding": {"enum": ["paper", "cloth"]},
                    "pages": {"type": "integer", "examples": [320]},
                    "sequel": {"$ref": "#/components/schemas/Book"},
                    "remarks": True,
                },
            },
        },
    },
}


# The texts that decide what the page is made of, and the names that whoever writes a document is free to choose.
TELLING = {"object", "array", "title", "name"}
CHOSEN_NAMES = {"/books/{id}", "/hours", "200", "404", "application/json", "Link", "subtitle", "printed", "Token"}


def poisoned(value: Any, poison: str) -> Any:
    """`value` with `poison` after every text and every chosen name."""
    match value:
        case str():
            return value if value.startswith("#/") or value in TELLING else value + poison
        case list():
            return [poisoned(each, poison) for each in cast("list[Any]", value)]
        case dict():
            items = cast("dict[str, Any]", value).items()
            return {name + poison * (name in CHOSEN_NAMES): poisoned(each, poison) for name, each in items}
        case _:
            return value


class Reader(HTMLParser):
    """Collects what a browser would see: the tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page() -> Reader:
    return Reader(render_docs(DOCUMENT))


def operation(method: str, path: str) -> Reader:
    """The part of the page about one operation."""
    parts = render_docs(DOCUMENT).split('<details class="operation">')[1:]
    found = [Reader(part) for part in parts if f'data-method="{method}" data-path="{path}"' in part]
    assert len(found) == 1
    return found[0]


def test_the_document_of_these_tests_is_valid() -> None:
    validate(DOCUMENT)


@pytest.mark.parametrize(
    "text",
    ["Library", "1.2.3", "Lends books.", "https://library.example/api/", "Lent books", "Who has what.", "Other",
     "One book", "Whoever lent it.", "/books/{id}", "/hours", "When it is open."],
)  # fmt: skip
def test_the_page_shows(page: Reader, text: str) -> None:
    assert text in page.text


def test_links_lead_to_the_group_of_each_tag(page: Reader) -> None:
    ids = {section["id"] for section in page.attributes("section")}

    assert ids == {"Lent-books", "Other"}
    assert {link["href"] for link in page.attributes("a")} == {"#Lent-books", "#Other"}


def test_an_operations_own_parameter_replaces_its_paths() -> None:
    get, put = operation("GET", "/api/books/{id}"), operation("PUT", "/api/books/{id}")

    assert "id * path integer page query integer, minimum 1, default 7 From 1." in get.text
    assert "id * path string, minLength 99" in put.text


def test_schemas_are_shown_in_full_whatever_they_are_made_of() -> None:
    text = operation("GET", "/api/books/{id}").text

    assert "title * string, maxLength 300 On the cover." in text
    assert "subtitle string or null" in text
    assert "remarks anything" in text
    assert "authors array of Author name * string" in text
    assert "editor Author or null name * string" in text
    assert 'edition Dated printed string, format "date"' in text
    assert 'binding "paper" or "cloth"' in text
    assert "application/json map of array of string" in text


def test_a_schema_within_itself_is_named_not_followed() -> None:
    assert "sequel Book, as above" in operation("GET", "/api/books/{id}").text


def test_responses_show_their_headers() -> None:
    assert "200 The book. Header Link The next book. application/json Book" in operation("GET", "/api/books/{id}").text


def test_security_is_the_documents_unless_the_operation_has_its_own() -> None:
    get, put, hours = (
        operation("GET", "/api/books/{id}"),
        operation("PUT", "/api/books/{id}"),
        operation("GET", "/api/hours"),
    )

    assert "Security nothing or Token" in get.text
    assert "Security Token" in put.text
    assert "Security" not in hours.text


def test_a_form_asks_for_parameters_and_token_only_where_there_are_some() -> None:
    def fields(reader: Reader) -> list[tuple[str | None, str | None]]:
        return [(field["data-in"], field["data-name"]) for field in reader.attributes("input")]

    assert fields(operation("GET", "/api/books/{id}")) == [("path", "id"), ("query", "page"), ("token", "Token")]
    assert fields(operation("GET", "/api/hours")) == []


def test_a_bearer_scheme_asks_for_a_bearer_token() -> None:
    schemes = {"securitySchemes": {"Token": {"type": "http", "scheme": "bearer"}}}
    page = Reader(render_docs(DOCUMENT | {"components": DOCUMENT["components"] | schemes}))

    assert {"Bearer"} == {field["data-name"] for field in page.attributes("input") if field["data-in"] == "token"}


def test_a_body_is_filled_in_with_an_example_made_from_its_schema() -> None:
    form = operation("PUT", "/api/books/{id}")
    example = json.loads(next(text for text in form.texts if text.lstrip().startswith("{")))

    assert example == {
        "title": "string",
        "subtitle": "string",
        "authors": [{"name": "string"}],
        "editor": {"name": "string"},
        "edition": {"printed": "2030-01-31"},
        "binding": "paper",
        "pages": 320,
        "sequel": None,
        "remarks": None,
    }


def test_a_given_example_is_preferred_to_a_made_one() -> None:
    content = {"application/json": {"schema": {"type": "object"}, "example": {"title": "Middlemarch"}}}
    post = {"requestBody": {"content": content}, "responses": {"204": {"description": "Stored."}}}

    assert '"title": "Middlemarch"' in Reader(render_docs(DOCUMENT | {"paths": {"/books": {"post": post}}})).text


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onclick='x", "$title"]
)
def test_nothing_in_the_document_becomes_markup(page: Reader, hostile: str) -> None:
    html = render_docs(poisoned(DOCUMENT, hostile))

    assert [(tag, sorted(attributes)) for tag, attributes in Reader(html).elements] == [
        (tag, sorted(attributes)) for tag, attributes in page.elements
    ]
    assert hostile in Reader(html).text


def test_the_page_loads_nothing_and_asks_the_browser_to_keep_it_so(page: Reader) -> None:
    assert [script for script in page.attributes("script") if "src" in script] == []
    assert [link["href"] for link in page.attributes("link")] == ["data:,"]
    policies = [
        meta["content"] for meta in page.attributes("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    assert [policy for policy in policies if policy and policy.startswith("default-src 'none'")]


def test_a_reference_that_leads_nowhere_is_an_error() -> None:
    with pytest.raises(KeyError, match="Nowhere"):
        render_docs(
            DOCUMENT | {"paths": {"/": {"$ref": "#/components/pathItems/Nowhere"}}, "components": {"pathItems": {}}}
        )
