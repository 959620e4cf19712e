"""Find where in a statement's text its columns and parameters stand."""

from collections.abc import Collection, Iterator
from itertools import pairwise
from pathlib import Path

from app.db.sql.lexer import Kind, Token, tokenize
from app.db.sql.places import Place, Source

_OPENING, _CLOSING = ("(", "["), (")", "]")
_ENDS_LIST = frozenset(
    {"from", "where", "group", "having", "window", "order", "limit", "offset", "fetch", "for"}
    | {"union", "intersect", "except", "into"}
)
_BEFORE_TABLES = frozenset(("from", "join", "update", "into", "using", "only"))
COMPARISONS = frozenset(("=", "<", ">", "<=", ">=", "<>", "!="))
"""The operators beside which a null makes a condition fail."""


def column_offsets(text: str, count: int) -> list[int]:
    """Return where the `count` columns of the result begin; 0 for all if they cannot be told apart.

    They cannot if the list has a `*`, or is in parentheses of its own.
    """
    items = list(_result_list([token for token, depth in _code(text) if depth == 0]))
    return [item.start for item in items] if len(items) == count else [0] * count


def parameter_offset(text: str, number: int, *, beside: Collection[str] = ()) -> int:
    """Return the first place of `$number`, or its first beside one of these words or operators."""
    tokens = [token for token, _ in _code(text)]
    found = [index for index, token in enumerate(tokens) if token.text == f"${number}"]
    wanted = frozenset(beside)
    near = [
        index for index in found if wanted & {token.text.lower() for token in tokens[max(index - 1, 0) : index + 2]}
    ]
    return tokens[(near or found)[0]].start


def _code(text: str) -> Iterator[tuple[Token, int]]:
    """Yield the tokens that are code, with the depth of brackets around each."""
    depth = 0
    for token in tokenize(text):
        depth -= token.text in _CLOSING
        if not token.is_gap:
            yield token, depth
        depth += token.text in _OPENING


def _result_list(outer: list[Token]) -> Iterator[Token]:
    """Return the first token of each column, among the tokens outside all brackets."""
    words = [token.text.lower() for token in outer]
    index = _list_start(words)
    yield from outer[index : index + 1]
    for before, token in pairwise(outer[index:]):
        if token.kind is Kind.WORD and token.text.lower() in _ENDS_LIST and before.text.lower() != "distinct":
            return
        if before.text == ",":
            yield token


def _list_start(words: list[str]) -> int:
    """Return the index after `select`, `select distinct on (…)` or `returning`."""
    begin = next((words.index(word) + 1 for word in ("returning", "select") if word in words), len(words))
    for noise in (("all",), ("distinct", "on", "(", ")"), ("distinct",)):
        if tuple(words[begin : begin + len(noise)]) == noise:
            return begin + len(noise)
    return begin


def name_offset(text: str, name: str) -> int:
    """Return where a table is first read or a column first named; 0 if neither is, as with a view."""
    tokens = [token for token, _ in _code(text)]
    found = [index for index, token in enumerate(tokens) if token.text.lower().strip('"') == name.lower()]
    as_table = [index for index in found if tokens[index - 1].text.lower() in _BEFORE_TABLES]
    return next((tokens[index].start for index in (*as_table, *found)), 0)


def first_line(path: Path) -> Place:
    """Return the place of the beginning of a file."""
    return Source(path, path.read_text(encoding="utf-8")).place(0)
