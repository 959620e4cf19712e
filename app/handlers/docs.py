"""One HTML page for people, made from the OpenAPI document."""

import json
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any, TypeGuard
from urllib.parse import unquote, urlsplit

Node = dict[str, Any]

_METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
_FACTS = ("format", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "default")
_EXAMPLES = {"string": "string", "integer": 1, "number": 1.5, "boolean": True}
_FORMATS = {"email": "ann@example.com", "date-time": "2030-01-31T12:00:00.000Z", "date": "2030-01-31"}


def render_docs(document: dict[str, Any]) -> str:
    """A self-contained HTML page that shows an OpenAPI 3.1 document and can send its requests to the same origin.

    Every text of the document is escaped. Raises KeyError for a `$ref` that leads nowhere.
    """
    document = _resolved(document, document)
    info: Node = document["info"]
    groups = _operations_by_tag(document)
    return _template().substitute(
        title=_text(info["title"]),
        version=_text(info["version"]),
        description=_paragraph(info),
        servers="".join(f"<p>Server <code>{_text(each['url'])}</code></p>" for each in document.get("servers", [])),
        tags="".join(f'<a href="#{_id(tag)}">{_text(tag)}</a>' for tag in groups),
        operations="".join(
            f'<section id="{_id(tag)}"><h2>{_text(tag)}</h2>{"".join(operations)}</section>'
            for tag, operations in groups.items()
        ),
    )


@cache
def _template() -> Template:
    return Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))


def _is_node(value: object) -> TypeGuard[Node]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _resolved(value: Any, document: Node, above: tuple[str, ...] = ()) -> Any:
    """`value` with every `$ref` replaced by what it leads to; within itself it is only named."""
    if _is_list(value):
        return [_resolved(each, document, above) for each in value]
    if not _is_node(value):
        return value
    reference = value.get("$ref")
    if not isinstance(reference, str):
        return {name: _resolved(each, document, above) for name, each in value.items()}
    name = reference.rpartition("/")[2]
    if reference in above:
        return {"type": f"{name}, as above"}
    beside = {other: each for other, each in value.items() if other != "$ref"}
    return _resolved({"title": name} | _target(reference, document) | beside, document, (*above, reference))


def _target(reference: str, document: Node) -> Node:
    target = document
    for part in unquote(reference).removeprefix("#/").split("/"):
        target = target[part.replace("~1", "/").replace("~0", "~")]
    return target


def _operations_by_tag(document: Node) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {tag["name"]: [_paragraph(tag)] for tag in document.get("tags", [])}
    schemes = document.get("components", {}).get("securitySchemes", {})
    inherited = {name: document.get(name, []) for name in ("servers", "security")}
    for path, item in document.get("paths", {}).items():
        for method in (method for method in _METHODS if method in item):
            parameters = [*item.get("parameters", []), *item[method].get("parameters", [])]
            own = {"parameters": list({(each["name"], each["in"]): each for each in parameters}.values())}
            operation = {**inherited, **item, **item[method], **own}
            for tag in item[method].get("tags") or ["Other"]:
                groups.setdefault(tag, []).append(_operation(path, method, operation, schemes))
    return groups


def _operation(path: str, method: str, operation: Node, schemes: Node) -> str:
    body: Node = operation.get("requestBody", {})
    request = (
        f"<h3>Request body{_required(body.get('required'))}</h3>{_paragraph(body)}{_content(body)}" if body else ""
    )
    ways = [" and ".join(way) or "nothing" for way in operation["security"]]
    security = f"<h3>Security</h3><p>{_text(' or '.join(ways))}</p>" if ways else ""
    responses = "".join(_response(status, each) for status, each in operation.get("responses", {}).items())
    return (
        f'<details class="operation"><summary><span class="method {method}">{method}</span>'
        f'<span class="path">{_text(path)}</span><span class="faint">{_text(operation.get("summary", ""))}</span>'
        f"</summary><div>{_paragraph(operation)}{security}{_parameters(operation['parameters'])}{request}"
        f"<h3>Responses</h3>{responses}{_form(path, method, operation, schemes)}</div></details>"
    )


def _parameters(parameters: list[Node]) -> str:
    rows = "".join(
        f"<tr><td><code>{_text(each['name'])}</code>{_required(each.get('required'))}</td><td>{_text(each['in'])}</td>"
        f"<td>{_schema(each.get('schema', {}))}</td><td>{_text(each.get('description', ''))}</td></tr>"
        for each in parameters
    )
    head = "<tr><th>Name</th><th>In</th><th>Type</th><th>Description</th></tr>"
    return f'<h3>Parameters</h3><div class="scroll"><table>{head}{rows}</table></div>' if rows else ""


def _response(status: str, response: Node) -> str:
    headers = "".join(
        f"<li>Header <code>{_text(name)}</code> {_text(header.get('description', ''))}</li>"
        for name, header in response.get("headers", {}).items()
    )
    summary = f"<summary><code>{_text(status)}</code> {_text(response.get('description', ''))}</summary>"
    return f"<details>{summary}<ul>{headers}</ul>{_content(response)}</details>"


def _content(holder: Node) -> str:
    return "".join(
        f"<div><code>{_text(media_type)}</code> {_schema(media.get('schema', {}))}</div>"
        for media_type, media in holder.get("content", {}).items()
    )


def _schema(schema: Any) -> str:
    return _text(_words(schema)) + _fields(schema)


def _words(schema: Any) -> str:
    """The schema's type and limits, in words."""
    if not _is_node(schema):
        return "anything"
    words = " or ".join([*map(_json, _values(schema)), *map(_words, _alternatives(schema))]) or _type(schema)
    return ", ".join([words, *(f"{name} {_json(schema[name])}" for name in _FACTS if name in schema)])


def _type(schema: Node) -> str:
    if "allOf" in schema:
        return " and ".join(map(_words, schema["allOf"]))
    if "items" in schema:
        return f"array of {_words(schema['items'])}"
    if _is_node(schema.get("additionalProperties")):
        return f"map of {_words(schema['additionalProperties'])}"
    types = schema.get("type", "object" if "properties" in schema else "anything")
    if types == "object":
        return schema.get("title", "object")
    return " or ".join(types) if _is_list(types) else types


def _values(schema: Node) -> list[Any]:
    return schema.get("enum", [schema["const"]] if "const" in schema else [])


def _alternatives(schema: Node) -> list[Any]:
    return [*schema.get("anyOf", []), *schema.get("oneOf", [])]


def _fields(schema: Any) -> str:
    """A nested list of the fields of an object, of an array's items, or of each alternative."""
    if not _is_node(schema):
        return ""
    fields = "".join(
        f"<li><code>{_text(name)}</code>{_required(name in schema.get('required', []))} "
        f"{_schema(field)}{_paragraph(field)}</li>"
        for name, field in schema.get("properties", {}).items()
    )
    parts = [*schema.get("allOf", []), *_alternatives(schema), schema.get("items"), schema.get("additionalProperties")]
    return (f"<ul>{fields}</ul>" if fields else "") + "".join(map(_fields, parts))


def _form(path: str, method: str, operation: Node, schemes: Node) -> str:
    servers = operation["servers"] or [{"url": ""}]
    address = urlsplit(servers[0]["url"]).path.rstrip("/") + path
    fields = [_field(each["in"], each["name"], each["name"]) for each in operation["parameters"]]
    names = {name for way in operation["security"] for name in way}
    if names:
        bearer = any(schemes.get(name, {}).get("scheme") == "bearer" for name in names)
        fields.append(_field("token", "Bearer" if bearer else "Token", "token"))
    for media_type, media in list(operation.get("requestBody", {}).get("content", {}).items())[:1]:
        fields.append(_body_field(media_type, media))
    return (
        f'<h3>Try it</h3><form data-method="{method.upper()}" data-path="{_text(address)}">{"".join(fields)}'
        f'<button>Send</button><pre role="status"></pre></form>'
    )


def _field(place: str, name: str, label: str) -> str:
    return f'<label>{_text(label)}<input data-in="{_text(place)}" data-name="{_text(name)}" autocomplete="off"></label>'


def _body_field(media_type: str, media: Node) -> str:
    example = json.dumps(media.get("example", _example(media.get("schema", {}))), indent=2, ensure_ascii=False)
    return (
        f'<label>{_text(media_type)}<textarea data-in="body" data-name="{_text(media_type)}" spellcheck="false"'
        f' rows="{example.count(chr(10)) + 1}">\n{_text(example)}</textarea></label>'
    )


def _example(schema: Any) -> Any:
    """A value that a person can start from: what the schema gives as an example, or else its fields filled in."""
    if not _is_node(schema):
        return None
    given = [schema[name] for name in ("example", "default") if name in schema] + schema.get("examples", [])
    if choices := given or _values(schema):
        return choices[0]
    if alternatives := _alternatives(schema):
        return _example(alternatives[0])
    if "properties" in schema or "allOf" in schema:
        fields = {name: _example(field) for name, field in schema.get("properties", {}).items()}
        return {name: value for part in schema.get("allOf", []) for name, value in _example(part).items()} | fields
    if "items" in schema:
        return [_example(schema["items"])]
    types = schema.get("type", "")
    return _FORMATS.get(schema.get("format", "")) or _EXAMPLES.get(types[0] if _is_list(types) else types)


def _paragraph(node: Any) -> str:
    description = node.get("description", "") if _is_node(node) else ""
    return f"<p>{_text(description)}</p>" if description else ""


def _required(required: object) -> str:
    return ' <span class="required" title="required">*</span>' if required else ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _id(tag: str) -> str:
    return _text("-".join(tag.split()))


def _text(value: object) -> str:
    return escape(str(value))
