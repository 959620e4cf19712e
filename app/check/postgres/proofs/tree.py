"""Parse pg_node_tree, the text in which PostgreSQL writes a parsed statement, into nodes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

# Brackets and white space inside a value are escaped by a backslash, quotes have no meaning to the tokenizer.
_TOKEN = re.compile(r"[(){}]|(?:\\.|[^\s(){}\\])+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

Value: TypeAlias = "str | list[Value] | Node | None"


class TreeError(Exception):
    """The server's tree is not what this version of the checker can read."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One node of a tree, `{VAR :varno 1 …}`; a field that it has not is a TreeError, never a guess."""

    tag: str
    fields: dict[str, Value]

    def has(self, name: str) -> bool:
        """Return whether the field is there and holds anything but null or an empty list."""
        return self.fields.get(name) not in (None, [])

    def text(self, name: str) -> str:
        """A name; empty where the server wrote null."""
        value = self._value(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise TreeError(f"{self.tag}.{name} is not a single value")
        return value

    def number(self, name: str) -> int:
        """Return an integer: an object id, an index or the value of an enumeration."""
        return _number(self.text(name))

    def flag(self, name: str) -> bool:
        """A truth value."""
        return self.text(name) == "true"

    def child(self, name: str) -> "Node | None":
        """The node in this field, or None if it is empty."""
        value = self._value(name)
        if value is None or isinstance(value, Node):
            return value
        raise TreeError(f"{self.tag}.{name} is not a node")

    def children(self, name: str) -> list["Node"]:
        """The nodes of a list; the list is empty where the server wrote null."""
        return list(_nodes(self._value(name)))

    def rows(self, name: str) -> list[list["Node"]]:
        """The nodes of a list of lists."""
        value = self._value(name)
        return [list(_nodes(row)) for row in value] if isinstance(value, list) else []

    def numbers(self, name: str) -> list[int]:
        """The members of a list of integers or object ids."""
        value = self._value(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise TreeError(f"{self.tag}.{name} is not a list")
        return [_number(item) for item in value if isinstance(item, str) and item not in _LIST_KINDS]

    def _value(self, name: str) -> Value:
        try:
            return self.fields[name]
        except KeyError:
            raise TreeError(f"{self.tag} has no field {name}") from None


# `(i 1 2)` holds integers, `(o 1 2)` object ids, `(x 1 2)` transaction ids, `(b 1 2)` is a set.
_LIST_KINDS = frozenset({"i", "o", "x", "b"})


def parse_tree(text: str) -> Value:
    """What a pg_node_tree says."""
    tokens = _TOKEN.findall(text)
    value, end = _parse(tokens, 0)
    if end != len(tokens):
        raise TreeError(f"the tree goes on after its end: {tokens[end]}")
    return value


def single_query(value: Value) -> Node:
    """The one QUERY node of a tree. Raises TreeError when there are more or none."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, Node) and value.tag == "QUERY":
        return value
    raise TreeError("the text is not one statement")


def walk(value: Value, *, into_queries: bool = True) -> Iterator[Node]:
    """Every node of a tree, the outermost first; without `into_queries` what is inside another QUERY is left out."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(reversed(item))
        elif isinstance(item, Node) and (into_queries or item.tag != "QUERY"):
            yield item
            pending.extend(reversed(item.fields.values()))


def _parse(tokens: list[str], start: int) -> tuple[Value, int]:
    first = tokens[start]
    if first == "{":
        return _parse_node(tokens, start + 1)
    if first == "(":
        return _parse_list(tokens, start + 1)
    if start + 1 < len(tokens) and tokens[start + 1] == "[":
        return _parse_datum(tokens, start + 2)
    return _atom(first), start + 1


def _parse_node(tokens: list[str], start: int) -> tuple[Node, int]:
    tag, position = tokens[start], start + 1
    fields: dict[str, Value] = {}
    while (label := tokens[position]) != "}":
        if not label.startswith(":"):
            raise TreeError(f"{tag}: {label} stands where a field was expected")
        fields[label[1:]], position = _parse(tokens, position + 1)
    return Node(tag, fields), position + 1


def _parse_list(tokens: list[str], start: int) -> tuple[list[Value], int]:
    items: list[Value] = []
    position = start
    while tokens[position] != ")":
        item, position = _parse(tokens, position)
        items.append(item)
    return items, position + 1


def _parse_datum(tokens: list[str], start: int) -> tuple[list[Value], int]:
    """The bytes of a constant, `4 [ 1 0 0 0 ]`: each a number from -128 to 127."""
    end = tokens.index("]", start)
    return list(tokens[start:end]), end + 1


def _atom(text: str) -> str | None:
    if text == "<>":
        return None
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _nodes(value: Value) -> Iterator[Node]:
    if value is None:
        return
    if not isinstance(value, list):
        raise TreeError("a list was expected")
    for item in value:
        if not isinstance(item, Node):
            raise TreeError("a list of nodes was expected")
        yield item


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise TreeError(f"{text!r} is not a number") from None
