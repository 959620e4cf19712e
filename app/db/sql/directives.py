"""Comments with a meaning, `-- name: x` and the like, and the entries that they divide an SQL file into."""

import keyword
import re
from collections.abc import Iterator
from typing import NamedTuple

from app.db.sql.lexer import Kind, SQLSyntaxError, Token, tokenize
from app.db.sql.places import Source

_DIRECTIVE = re.compile(r"--[ \t]*(name|fragment|include|check)[ \t]*:[ \t]*(.*?)[ \t]*")
_ALMOST_DIRECTIVE = re.compile(
    r"--[ \t]*(?:check[ \t]*:.*|(?:[a-z]+[ \t]*:|(?:name|fragment|include)[ \t])[ \t]*\w+[ \t]*;?[ \t]*"
    r"|include\b[ \t]*:?[ \t]*[\w-]+\.\w+[ \t]*;?[ \t]*)",
    re.IGNORECASE,
)
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_INCLUDED_NAME = re.compile(r"(?:[A-Za-z0-9_-]+\.)?[a-z_][a-z0-9_]*")


class Directive(NamedTuple):
    """A comment with a meaning, `-- word: name`, and where it starts and ends in the file."""

    word: str
    name: str
    start: int
    end: int


class Entry(NamedTuple):
    """A statement or a fragment: its source, its header, and what is between that and the next header."""

    source: Source
    header: Directive
    body: list[Token | Directive]

    def directives(self, word: str) -> Iterator[Directive]:
        """Return the directives in the body with this word."""
        return (item for item in self.body if isinstance(item, Directive) and item.word == word)


def entries_by_name(source: Source) -> dict[str, Entry]:
    """Return the entries of a file in their order. Raises SQLFileError when a name is defined twice."""
    entries: dict[str, Entry] = {}
    for entry in _entries(source):
        first = entries.setdefault(entry.header.name, entry)
        if first is not entry:
            line = source.place(first.header.start).line
            raise source.error(entry.header.start, f"{entry.header.name} is already defined in line {line}")
    return entries


def is_reserved(name: str) -> bool:
    """Return whether Python reserves this name, so that no function or argument can have it."""
    return keyword.iskeyword(name) or name == "__debug__"


def _entries(source: Source) -> Iterator[Entry]:
    body, following = _body(source, 0)
    for item in body:
        if isinstance(item, Directive) or not item.is_gap:
            raise source.error(item.start, "only comments can stand above the first `-- name:`")
    while following is not None:
        header = following
        # Each body is tokenized separately: an unclosed bracket in one changes no colon in the next.
        body, following = _body(source, header.end)
        yield Entry(source, header, body)


def _body(source: Source, start: int) -> tuple[list[Token | Directive], Directive | None]:
    """Return what is between `start` and the next header, and that header."""
    body: list[Token | Directive] = []
    try:
        for token in tokenize(source.text, start):
            directive = _directive(source, token) if token.kind is Kind.COMMENT else None
            if directive is not None and directive.word not in {"include", "check"}:
                return body, directive
            body.append(directive or token)
    except SQLSyntaxError as error:
        raise source.error(error.offset, error.message) from error
    return body, None


def _directive(source: Source, comment: Token) -> Directive | None:
    before = source.before(comment.start)
    match = _DIRECTIVE.fullmatch(comment.text)
    if match is None:
        if _ALMOST_DIRECTIVE.fullmatch(comment.text) and not before.strip():
            known = "`-- name: x`, `-- fragment: x`, `-- include: x` and `-- check: text`"
            raise source.error(comment.start, f"a directive is one of {known}; reword this if it is a plain comment")
        return None
    word, name = match.groups()
    _check_name(source, word, name, comment.start, comment.start + match.start(2))
    if before.strip():
        raise source.error(comment.start, f"`-- {word}:` must stand alone on its line")
    if before and word in {"name", "fragment"}:
        raise source.error(comment.start, f"`-- {word}:` must begin its line")
    return Directive(word, name, comment.start, comment.end)


def _check_name(source: Source, word: str, name: str, start: int, name_start: int) -> None:
    if word == "check" and not name:
        raise source.error(start, "`-- check:` needs a text")
    if word == "include" and not _INCLUDED_NAME.fullmatch(name):
        raise source.error(name_start, "`-- include:` needs a fragment's name, or file.name for one of another file")
    if word in {"name", "fragment"} and not _NAME.fullmatch(name):
        raise source.error(name_start, f"`-- {word}:` needs a name of lower-case letters, digits and _")
    if word == "name" and is_reserved(name):
        raise source.error(name_start, f"no function can be called {name}: Python keeps that word")
