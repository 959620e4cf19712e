"""Reads the named statements of an SQL file.

-- name: get_tag
-- A tag and how many articles have it.
-- check: full scan of article_tags, because it is a small table
select
    -- include: tag_columns
from article_tags where tag = :tag group by tag;

-- fragment: tag_columns
tag, count(*) as articles

A fragment of another file in the same folder is included by its file's name: `-- include: tags.tag_columns`.
"""

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from app.db.sql.directives import Directive, Entry, entries_by_name, is_reserved
from app.db.sql.lexer import Kind, Token
from app.db.sql.places import NEWLINE, read_source
from app.db.sql.statement import CheckNote, SourceToken, Statement, build_statement


def load_statements(path: Path) -> dict[str, Statement]:
    """Return the statements of an SQL file by name, in the order of the file. Raises SQLFileError when it is invalid.

    `-- name: get_user` begins a statement, `-- fragment: user_columns` a text to include; both end at the next header.
    `-- include: user_columns`, alone on a line, stands for that fragment, which can include others, and
    `-- include: users.user_columns` for one of `users.sql` in the same folder. `-- check: text`, alone on a line, is
    kept for the checker, for the statement it is in or for every statement that includes the fragment it is in.
    """
    folder = Folder(path)
    entries = folder.entries_of(path)
    _refuse_unused_fragments(path, entries)
    expanded = {name: _expand(folder, entry) for name, entry in entries.items()}
    return {
        name: build_statement(
            entry.source,
            name,
            entry.header.start,
            _trim(expanded[name]),
            purpose=_purpose(entry),
            check_notes=tuple(_check_notes(folder, entry)),
        )
        for name, entry in entries.items()
        if entry.header.word == "name"
    }


class Folder:
    """The files of one folder, each read when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: dict[Path, dict[str, Entry]] = {}

    def entries_of(self, path: Path) -> dict[str, Entry]:
        """Return the entries of a file by name."""
        if path not in self._entries:
            self._entries[path] = entries_by_name(read_source(path))
        return self._entries[path]

    def place_of(self, path: Path, include: Directive) -> tuple[Path, str]:
        """Return the file and the name of the fragment that an entry in the file `path` includes."""
        file, _, name = include.name.rpartition(".")
        return (self._path.with_name(f"{file}.sql") if file else path), name

    def fragment(self, entry: Entry, include: Directive) -> Entry:
        """Return the fragment that an entry includes. Raises SQLFileError when there is none."""
        path, name = self.place_of(entry.source.path, include)
        if not path.exists():
            raise entry.source.error(include.start, f"there is no file {path.name} beside this one")
        found = self.entries_of(path).get(name)
        if found is None or found.header.word != "fragment":
            where = "this file" if path == entry.source.path else path.name
            raise entry.source.error(include.start, f"there is no fragment {name} in {where}")
        return found


def _refuse_unused_fragments(path: Path, entries: dict[str, Entry]) -> None:
    included = {include.name for entry in entries.values() for include in entry.directives("include")}
    for name, entry in entries.items():
        if entry.header.word != "fragment" or not included.isdisjoint({name, f"{path.stem}.{name}"}):
            continue
        if not _is_included_elsewhere(path, name):
            raise entry.source.error(entry.header.start, f"no statement includes the fragment {name}")


def _is_included_elsewhere(path: Path, name: str) -> bool:
    wanted = re.compile(rf"^[ \t]*--[ \t]*include[ \t]*:[ \t]*{re.escape(path.stem)}\.{name}[ \t]*$", re.MULTILINE)
    others = (other for other in path.parent.glob("*.sql") if other != path)
    return any(wanted.search(read_source(other).text) for other in others)


def _expand(folder: Folder, entry: Entry) -> list[SourceToken]:
    """Return the tokens of an entry, with those of fragments in place of the includes."""
    found = list(_included(folder, (entry,)))
    if all(token.is_gap or token.text == ";" for _, token in found):
        raise entry.source.error(entry.header.start, f"{entry.header.name} is empty")
    for source, token in found:
        if token.kind is Kind.PARAMETER:
            raise source.error(token.start, f"placeholders have names: write :name instead of {token.text}")
        if token.kind is Kind.PLACEHOLDER and is_reserved(token.text[1:]):
            raise source.error(
                token.start, f"no argument can be called {token.text[1:]}: Python keeps that word; write {token.text}_"
            )
    return found


def _included(folder: Folder, chain: tuple[Entry, ...]) -> Iterator[SourceToken]:
    source, header, body = chain[-1]
    for item in body:
        if isinstance(item, Directive) and item.word == "check":
            yield SourceToken(source, Token(Kind.COMMENT, item.start, item.end, source.text[item.start : item.end]))
        elif isinstance(item, Directive):
            yield from _included(folder, (*chain, _fragment(folder, chain, item)))
        elif item.text == ";" and header.word == "fragment":
            raise source.error(item.start, "a fragment is part of a statement: it cannot end it")
        else:
            yield SourceToken(source, item)


def _fragment(folder: Folder, chain: tuple[Entry, ...], include: Directive) -> Entry:
    source = chain[-1].source
    path, name = folder.place_of(source.path, include)
    if (path, name) in {(outer.source.path, outer.header.name) for outer in chain}:
        names = " -> ".join([*(outer.header.name for outer in chain), name])
        raise source.error(include.start, f"{name} includes itself: {names}")
    return folder.fragment(chain[-1], include)


def _check_notes(folder: Folder, entry: Entry) -> Iterator[CheckNote]:
    """Return the notes for the checker, of the entry and of the fragments in it."""
    for note in entry.directives("check"):
        yield CheckNote(note.name, entry.source.place(note.start))
    for include in entry.directives("include"):
        yield from _check_notes(folder, folder.fragment(entry, include))


def _trim(tokens: list[SourceToken]) -> list[SourceToken]:
    """Return the tokens from the first to the last that is code, without the semicolon."""
    code = [index for index, (_, token) in enumerate(tokens) if not token.is_gap]
    ends = [index for index in code if tokens[index].token.text == ";"]
    if ends and ends[0] != code[-1]:
        source, second = tokens[next(index for index in code if index > ends[0])]
        raise source.error(second.start, "one statement is enough here: give this one a `-- name:` of its own")
    last = code[-2] if ends else code[-1]
    return tokens[code[0] : last + 1]


def _purpose(entry: Entry) -> str:
    comments = takewhile(_adjoins, entry.body)
    lines = [item.text.removeprefix("--").strip() for item in comments if isinstance(item, Token) and item.text.strip()]
    return "\n".join(lines).strip()


def _adjoins(item: Token | Directive) -> bool:
    """Return whether this is a line comment or the break before the next line."""
    if isinstance(item, Directive):
        return item.word == "check"
    return item.text.startswith("--") or (item.kind is Kind.SPACE and len(NEWLINE.findall(item.text)) < 2)
