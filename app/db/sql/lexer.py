"""PostgreSQL's lexical rules, as far as they decide which `:name` in a text is a placeholder."""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple, cast

_IDENTIFIER_START = r"A-Za-z_\x80-\U0010ffff"
_IDENTIFIER = rf"[{_IDENTIFIER_START}][0-9${_IDENTIFIER_START}]*+"
_DOLLAR_QUOTE = rf"\$(?:[{_IDENTIFIER_START}][0-9{_IDENTIFIER_START}]*+)?\$"
_ESCAPED = r"'(?:[^'\\]++|''|\\.)*+'"

# Possessive quantifiers keep text that does not match from being tried in every possible way.
_TOKEN = re.compile(
    rf"""
      (?P<SPACE>[ \t\n\r\f\v]++)
    | (?P<COMMENT>--[^\n\r]*+)
    | (?P<block>/\*)
    | (?P<STRING>(?:[bBnNxX]|[uU]&)?'(?:[^']++|'')*+' | [eE]{_ESCAPED} | (?P<tag>{_DOLLAR_QUOTE}).*?(?P=tag))
    | (?P<QUOTED_IDENTIFIER>(?:[uU]&)?"(?:[^"]++|"")*+")
    | (?P<unclosed>(?:[bBeEnNxX]|[uU]&)?' | (?:[uU]&)?" | {_DOLLAR_QUOTE})
    | (?P<WORD>{_IDENTIFIER})
    | (?P<PARAMETER>\$[0-9]++)
    | (?P<NUMBER>0[xXoObB][0-9A-Fa-f_]++ | (?:[0-9][0-9_]*+(?:\.(?!\.)[0-9_]*+)?|\.[0-9][0-9_]*+)(?:[eE][+-]?[0-9]++)?)
    | (?P<PLACEHOLDER>(?<!:):[A-Za-z_][0-9A-Za-z_]*+(?![$\x80-\U0010ffff]))
    | (?P<OPERATOR>(?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?])++)
    | ::|:=|.
    """,
    re.VERBOSE | re.DOTALL,
)
_CONTINUED_ESCAPED = re.compile(rf"(?P<STRING>{_ESCAPED})|(?P<unclosed>')", re.DOTALL)
_CONTINUATION = re.compile(r"(?:[ \t\f\v]++|--[^\n\r]*+)*+[\n\r](?:[ \t\n\r\f\v]++|--[^\n\r]*+[\n\r])*+(?=')")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_OPENED_BY = {"'": "string", '"': "quoted identifier", "$": "dollar-quoted string", "*": "comment"}
_KEYWORDS_BEFORE_COLONS = {"json_object", "json_objectagg"}


class SQLSyntaxError(ValueError):
    """The text is not lexically SQL; `message` says why and `offset` where, as a 0-based character offset."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class Kind(Enum):
    """What a token is."""

    SPACE = auto()
    COMMENT = auto()
    WORD = auto()
    NUMBER = auto()
    STRING = auto()
    QUOTED_IDENTIFIER = auto()
    PLACEHOLDER = auto()
    PARAMETER = auto()
    OPERATOR = auto()
    PUNCTUATION = auto()


_OPERANDS = {Kind.WORD, Kind.NUMBER, Kind.STRING, Kind.QUOTED_IDENTIFIER, Kind.PLACEHOLDER, Kind.PARAMETER}


class Token(NamedTuple):
    """A piece of the text: `text` is what stands from `start` up to `end`, in characters."""

    kind: Kind
    start: int
    end: int
    text: str

    @property
    def is_gap(self) -> bool:
        """Whether this is white space or a comment."""
        return self.kind is Kind.SPACE or self.kind is Kind.COMMENT


def tokenize(sql: str, start: int = 0) -> Iterator[Token]:
    """The tokens of `sql` from `start` on; together they are the whole text. SQLSyntaxError where it is not SQL.

    The rules are those of PostgreSQL with `standard_conforming_strings = on`. A string that continues on another line
    is one token per segment. `PLACEHOLDER` is `:name`, a colon and an ASCII identifier; `PARAMETER` is `$1`.

    Two kinds of brackets give a colon another meaning: it separates the bounds of a slice in a subscript, `a[1:n]`, and
    a key from its value in `json_object('k': v)`. Directly within them a colon separates if it touches the operand
    before it (`a[1:n]`) or if no name touches it (`a[1 : n]`). Any other `:name` is a placeholder in `json_object`, and
    an error in a subscript, where it could be either: a placeholder there is written `a[(:n)]` or `a[1:(:n)]`.
    Everywhere else each colon must be that of a placeholder which touches no operand before it.
    """
    colons = _Colons()
    continued = -1
    while start < len(sql):
        rules = _CONTINUED_ESCAPED if start == continued else _TOKEN
        token = colons.resolve(_match(rules, sql, start))
        if token.kind is Kind.STRING and (start == continued or token.text[0] in "eE"):
            continued = _continuation(sql, token.end)
        start = token.end
        yield token


def _match(rules: re.Pattern[str], sql: str, start: int) -> Token:
    # The last alternative of the rules takes any character.
    match = cast("re.Match[str]", rules.match(sql, start))
    kind, end = match.lastgroup or "PUNCTUATION", match.end()
    if kind == "unclosed":
        raise _unclosed(match.group(), start)
    if kind == "block":
        kind, end = "COMMENT", _block_comment_end(sql, start)
    return Token(Kind[kind], start, end, sql[start:end])


def _block_comment_end(sql: str, start: int) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    raise _unclosed("/*", start)


def _continuation(sql: str, end: int) -> int:
    """Where a string that ends at `end` continues, or -1."""
    match = _CONTINUATION.match(sql, end)
    return match.end() if match else -1


def _unclosed(opening: str, offset: int) -> SQLSyntaxError:
    return SQLSyntaxError(f"this {_OPENED_BY[opening[-1]]} is opened by {opening} and never closed", offset)


class _Bracket(Enum):
    GROUP = auto()
    SUBSCRIPT = auto()
    JSON_OBJECT = auto()


class _Colons:
    """Decides what a colon means, by the brackets around it and the token before it."""

    def __init__(self) -> None:
        self._open: list[_Bracket] = []
        self._before: Token | None = None

    def resolve(self, token: Token) -> Token:
        """`token`, or the separating colon that it begins with."""
        if token.is_gap:
            return token
        if token.kind is Kind.PLACEHOLDER:
            token = self._placeholder(token)
        elif token.text == ":" and not self._separated():
            raise SQLSyntaxError("a colon must be followed by a placeholder's name: an ASCII identifier", token.start)
        self._follow(token)
        return token

    def _placeholder(self, token: Token) -> Token:
        touched = self._before is not None and self._before.end == token.start and self._after_operand()
        if touched and self._separated():
            return Token(Kind.PUNCTUATION, token.start, token.start + 1, ":")
        if touched:
            raise SQLSyntaxError(f"put a space before the placeholder {token.text}", token.start)
        if self._open and self._open[-1] is _Bracket.SUBSCRIPT:
            raise SQLSyntaxError(
                f"{token.text} in a subscript is a placeholder or the end of a slice: "
                f"write ({token.text}) for the placeholder, or : {token.text[1:]} for the slice",
                token.start,
            )
        return token

    def _separated(self) -> bool:
        return bool(self._open) and self._open[-1] is not _Bracket.GROUP

    def _after_operand(self) -> bool:
        return self._before is not None and (self._before.kind in _OPERANDS or self._before.text in {")", "]"})

    def _follow(self, token: Token) -> None:
        if token.text in {"(", "["}:
            self._open.append(self._bracket(token))
        elif token.text in {")", "]"} and self._open:
            self._open.pop()
        elif token.kind is Kind.WORD and self._before is not None and self._before.text == ".":
            # After a dot even a keyword is a name: `t.array[1:n]` is a subscript.
            token = token._replace(kind=Kind.QUOTED_IDENTIFIER)
        self._before = token

    def _bracket(self, token: Token) -> _Bracket:
        keyword = self._before.text.lower() if self._before is not None and self._before.kind is Kind.WORD else ""
        if token.text == "(" and keyword in _KEYWORDS_BEFORE_COLONS:
            return _Bracket.JSON_OBJECT
        if token.text == "[" and keyword != "array" and self._after_operand():
            return _Bracket.SUBSCRIPT
        return _Bracket.GROUP
