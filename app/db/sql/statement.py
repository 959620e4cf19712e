"""A named statement: the text that PostgreSQL gets, and where in its files each part of it comes from."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from app.db.sql.lexer import Kind, Token
from app.db.sql.places import NEWLINE, Place, Source


class SourceToken(NamedTuple):
    """A token and the file that it comes from."""

    source: Source
    token: Token


class Piece(NamedTuple):
    """A part of a statement's text, and the `length` characters from `origin` in its source that it stands for."""

    text: str
    source: Source
    origin: int
    length: int


class CheckNote(NamedTuple):
    """The text of a line `-- check: text`, and its place. Only the checker reads it."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A named statement of an SQL file. It is equal only to itself."""

    name: str
    place: Place
    """Where its header is."""
    purpose: str
    """The comment beneath the header, line by line. Empty if there is none."""
    text: str
    """The SQL with `$1` for the first placeholder, fragments included, comments removed, and its name at the end."""
    parameters: tuple[str, ...]
    """The names of the placeholders, that of `$1` first."""
    keyword: str
    """The first word in lower case: select, insert, with, copy and so on."""
    check_notes: tuple[CheckNote, ...]
    """The lines `-- check:` of the statement and its fragments. They are not part of `text`."""
    _starts: tuple[int, ...] = field(repr=False)
    _pieces: tuple[Piece, ...] = field(repr=False)

    @property
    def path(self) -> Path:
        """The file of its header."""
        return self.place.path

    @property
    def paths(self) -> set[Path]:
        """All files that its text comes from: that of its header, and those of the fragments it includes."""
        return {self.path, *(piece.source.path for piece in self._pieces)}

    @property
    def line(self) -> int:
        """The line of its header, from 1."""
        return self.place.line

    def locate(self, offset: int) -> Place:
        """Return the place in its file, possibly in a fragment, of the character of `text` at `offset`, from 0.

        The name at the end of `text` is placed where the statement ends. Raises ValueError when `text` is shorter.
        """
        if not 0 <= offset <= len(self.text):
            raise ValueError(f"{self.name} has {len(self.text)} characters, none at offset {offset}")
        index = bisect_right(self._starts, offset) - 1
        piece = self._pieces[index]
        # $12 can be longer than the placeholder that it stands for.
        return piece.source.place(piece.origin + min(offset - self._starts[index], piece.length - 1))


def build_statement(
    source: Source,
    name: str,
    header: int,
    tokens: list[SourceToken],
    *,
    purpose: str,
    check_notes: tuple[CheckNote, ...],
) -> Statement:
    """Return the statement made of these tokens, the first and the last of which are code."""
    pieces, parameters = _rewrite(tokens)
    last = tokens[-1]
    pieces.append(Piece(f" /* {source.path.stem}.{name} */", last.source, last.token.end, 1))
    starts: list[int] = []
    end = 0
    for piece in pieces:
        starts.append(end)
        end += len(piece.text)
    return Statement(
        name=name,
        place=source.place(header),
        purpose=purpose,
        text="".join(piece.text for piece in pieces),
        parameters=parameters,
        keyword=next((token.text.lower() for _, token in tokens if token.kind is Kind.WORD), ""),
        check_notes=check_notes,
        _starts=tuple(starts),
        _pieces=tuple(pieces),
    )


def _rewrite(tokens: Iterable[SourceToken]) -> tuple[list[Piece], tuple[str, ...]]:
    numbers: dict[str, int] = {}
    pieces: list[Piece] = []
    for is_gap, run in groupby(tokens, key=lambda each: each.token.is_gap):
        run_tokens = list(run)
        pieces += [_gap(run_tokens)] if is_gap else [_code(*each, numbers) for each in run_tokens]
    return pieces, tuple(numbers)


def _code(source: Source, token: Token, numbers: dict[str, int]) -> Piece:
    text = token.text
    if token.kind is Kind.PLACEHOLDER:
        text = f"${numbers.setdefault(text[1:], len(numbers) + 1)}"
    return Piece(text, source, token.start, len(token.text))


def _gap(run: list[SourceToken]) -> Piece:
    """Return what is left of white space and comments: a line break and its indentation, or the space in a line."""
    source, end = run[-1].source, run[-1].token.end
    last = run[-1].token.text if run[-1].token.kind is Kind.SPACE else ""
    if any(token.kind is Kind.SPACE and NEWLINE.search(token.text) for _, token in run):
        text = "\n" + NEWLINE.split(last)[-1]
    else:
        text = last if len(run) == 1 and last else " "
    return Piece(text, source, end - len(text), len(text))
