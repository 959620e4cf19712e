"""Reads named statements from an SQL file.

-- name: get_tag
-- A tag and how many articles have it.
-- check: full scan of article_tags, because it is a small table
select
    -- include: tag_columns
from article_tags where tag = :tag group by tag;

-- fragment: tag_columns
tag, count(*) as articles
"""

import keyword
import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from app.db.lexer import Kind, SQLSyntaxError, Token, tokenize
from app.db.source import NEWLINE, Place, Source, SQLFileError, read_source
from app.db.statement import CheckNote, Statement, build_statement

__all__ = ["CheckNote", "Place", "SQLFileError", "Statement", "load_statements"]

_DIRECTIVE = re.compile(r"--[ \t]*(name|fragment|include|check)[ \t]*:[ \t]*(.*?)[ \t]*")
_ALMOST_DIRECTIVE = re.compile(
    r"--[ \t]*(?:check[ \t]*:.*|(?:[a-z]+[ \t]*:|(?:name|fragment|include)[ \t])[ \t]*\w+[ \t]*;?[ \t]*)", re.IGNORECASE
)
_NAME = re.compile(r"[a-z_][a-z0-9_]*")


class _Directive(NamedTuple):
    """A comment with a meaning: `-- word: name`."""

    word: str
    name: str
    start: int
    end: int


class _Entry(NamedTuple):
    """A statement or a fragment: its header, and what stands between that and the next one."""

    header: _Directive
    body: list[Token | _Directive]


def load_statements(path: Path) -> dict[str, Statement]:
    """The statements of an SQL file by name, in the order of the file; SQLFileError for whatever is wrong with it.

    `-- name: get_user` begins a statement, `-- fragment: user_columns` a text to include; both end at the next header.
    `-- include: user_columns`, alone on a line, stands for that fragment, which can include others. `-- check: text`,
    alone on a line, is kept for whoever checks the statement, or every statement that includes the fragment it is in.
    """
    source = read_source(path)
    entries = _entries_by_name(source)
    _refuse_unused_fragments(source, entries)
    expanded = {name: _expand(source, entries, name) for name in entries}
    return {
        name: build_statement(
            source,
            name,
            entry.header.start,
            _trim(source, expanded[name]),
            purpose=_purpose(entry),
            check_notes=tuple(_check_notes(source, entries, name)),
        )
        for name, entry in entries.items()
        if entry.header.word == "name"
    }


def _entries_by_name(source: Source) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for entry in _entries(source):
        first = entries.setdefault(entry.header.name, entry)
        if first is not entry:
            line = source.place(first.header.start).line
            raise source.error(entry.header.start, f"{entry.header.name} is already defined in line {line}")
    return entries


def _entries(source: Source) -> Iterator[_Entry]:
    body, following = _body(source, 0)
    for item in body:
        if isinstance(item, _Directive) or not item.is_gap:
            raise source.error(item.start, "only comments can stand above the first `-- name:`")
    while following is not None:
        header = following
        # Each body is read by itself: a bracket left open in one changes no colon in the next.
        body, following = _body(source, header.end)
        yield _Entry(header, body)


def _body(source: Source, start: int) -> tuple[list[Token | _Directive], _Directive | None]:
    """What stands between `start` and the next header, and that header."""
    body: list[Token | _Directive] = []
    try:
        for token in tokenize(source.text, start):
            directive = _directive(source, token) if token.kind is Kind.COMMENT else None
            if directive is not None and directive.word not in {"include", "check"}:
                return body, directive
            body.append(directive or token)
    except SQLSyntaxError as error:
        raise source.error(error.offset, error.message) from error
    return body, None


def _directive(source: Source, comment: Token) -> _Directive | None:
    before = source.before(comment.start)
    match = _DIRECTIVE.fullmatch(comment.text)
    if match is None:
        if _ALMOST_DIRECTIVE.fullmatch(comment.text) and not before.strip():
            known = "`-- name: x`, `-- fragment: x`, `-- include: x` and `-- check: text`"
            raise source.error(comment.start, f"a directive is one of {known}; reword this if it is a plain comment")
        return None
    word, name = match.groups()
    if word == "check" and not name:
        raise source.error(comment.start, "`-- check:` needs a text")
    if word != "check" and not _NAME.fullmatch(name):
        raise source.error(
            comment.start + match.start(2), f"`-- {word}:` needs a name of lower-case letters, digits and _"
        )
    if word == "name" and _is_reserved(name):
        raise source.error(comment.start + match.start(2), f"no function can be called {name}: Python keeps that word")
    if before.strip():
        raise source.error(comment.start, f"`-- {word}:` must stand alone on its line")
    if before and word in {"name", "fragment"}:
        raise source.error(comment.start, f"`-- {word}:` must begin its line")
    return _Directive(word, name, comment.start, comment.end)


def _is_reserved(name: str) -> bool:
    return keyword.iskeyword(name) or name == "__debug__"


def _refuse_unused_fragments(source: Source, entries: Mapping[str, _Entry]) -> None:
    included = {include.name for entry in entries.values() for include in _directives(entry, "include")}
    for name, entry in entries.items():
        if entry.header.word == "fragment" and name not in included:
            raise source.error(entry.header.start, f"no statement includes the fragment {name}")


def _expand(source: Source, entries: Mapping[str, _Entry], name: str) -> list[Token]:
    """The tokens of an entry, with those of fragments in the place of includes."""
    tokens = list(_included(source, entries, (name,)))
    if all(token.is_gap or token.text == ";" for token in tokens):
        raise source.error(entries[name].header.start, f"{name} is empty")
    for token in tokens:
        if token.kind is Kind.PARAMETER:
            raise source.error(token.start, f"placeholders have names: write :name instead of {token.text}")
        if token.kind is Kind.PLACEHOLDER and _is_reserved(token.text[1:]):
            raise source.error(
                token.start, f"no argument can be called {token.text[1:]}: Python keeps that word; write {token.text}_"
            )
    return tokens


def _included(source: Source, entries: Mapping[str, _Entry], chain: tuple[str, ...]) -> Iterator[Token]:
    header, body = entries[chain[-1]]
    for item in body:
        if isinstance(item, _Directive) and item.word == "check":
            yield Token(Kind.COMMENT, item.start, item.end, source.text[item.start : item.end])
        elif isinstance(item, _Directive):
            _check_include(source, entries, chain, item)
            yield from _included(source, entries, (*chain, item.name))
        elif item.text == ";" and header.word == "fragment":
            raise source.error(item.start, "a fragment is part of a statement: it cannot end it")
        else:
            yield item


def _check_include(source: Source, entries: Mapping[str, _Entry], chain: tuple[str, ...], include: _Directive) -> None:
    if include.name in chain:
        raise source.error(include.start, f"{include.name} includes itself: {' -> '.join((*chain, include.name))}")
    if include.name not in entries or entries[include.name].header.word != "fragment":
        raise source.error(include.start, f"there is no fragment {include.name} in this file")


def _directives(entry: _Entry, word: str) -> Iterator[_Directive]:
    return (item for item in entry.body if isinstance(item, _Directive) and item.word == word)


def _check_notes(source: Source, entries: Mapping[str, _Entry], name: str) -> Iterator[CheckNote]:
    """What the entry says to whoever checks it, and what the fragments in it say."""
    for note in _directives(entries[name], "check"):
        yield CheckNote(note.name, source.place(note.start))
    for include in _directives(entries[name], "include"):
        yield from _check_notes(source, entries, include.name)


def _trim(source: Source, tokens: list[Token]) -> list[Token]:
    """The tokens from the first to the last that is code, without the semicolon."""
    code = [index for index, token in enumerate(tokens) if not token.is_gap]
    ends = [index for index in code if tokens[index].text == ";"]
    if ends and ends[0] != code[-1]:
        second = next(index for index in code if index > ends[0])
        raise source.error(tokens[second].start, "one statement is enough here: give this one a `-- name:` of its own")
    last = code[-2] if ends else code[-1]
    return tokens[code[0] : last + 1]


def _purpose(entry: _Entry) -> str:
    comments = takewhile(_adjoins, entry.body)
    lines = [item.text.removeprefix("--").strip() for item in comments if isinstance(item, Token) and item.text.strip()]
    return "\n".join(lines).strip()


def _adjoins(item: Token | _Directive) -> bool:
    """Whether this is a line comment or the break before the next line."""
    if isinstance(item, _Directive):
        return item.word == "check"
    return item.text.startswith("--") or (item.kind is Kind.SPACE and len(NEWLINE.findall(item.text)) < 2)
