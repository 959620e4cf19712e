"""A named statement: the text that PostgreSQL gets, and where in the file each part of it comes from."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from app.db.lexer import Kind, Token
from app.db.source import NEWLINE, Place, Source


class Piece(NamedTuple):
    """A part of a statement's text, and the `length` characters from `origin` on in the file that it stands for."""

    text: str
    origin: int
    length: int


class CheckNote(NamedTuple):
    """What a line `-- check: text` says, and where it stands; this layer attaches no meaning to it."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A named statement of an SQL file; it is equal to itself alone."""

    name: str
    place: Place
    """Where its header stands."""
    purpose: str
    """The comment beneath the header, a line for each line there; may be empty."""
    text: str
    """The SQL with `$1` for the first placeholder, fragments included, comments dropped, and its name at the end."""
    parameters: tuple[str, ...]
    """The names of the placeholders: the first is `$1`."""
    keyword: str
    """The first word in lower case: select, insert, with, copy and so on."""
    check_notes: tuple[CheckNote, ...]
    """The lines `-- check:` of the statement and its fragments; they are no part of `text`."""
    _source: Source = field(repr=False)
    _starts: tuple[int, ...] = field(repr=False)
    _pieces: tuple[Piece, ...] = field(repr=False)

    @property
    def path(self) -> Path:
        """The file it stands in."""
        return self.place.path

    @property
    def line(self) -> int:
        """The line of its header, from 1."""
        return self.place.line

    def locate(self, offset: int) -> Place:
        """Where the character of `text` at `offset`, from 0, stands in the file, be it in a fragment.

        The name at the end of `text` stands where the statement ends. ValueError when `text` is shorter.
        """
        if not 0 <= offset <= len(self.text):
            raise ValueError(f"{self.name} has {len(self.text)} characters, none at offset {offset}")
        index = bisect_right(self._starts, offset) - 1
        piece = self._pieces[index]
        # $12 can be longer than the placeholder that it stands for.
        return self._source.place(piece.origin + min(offset - self._starts[index], piece.length - 1))


def build_statement(
    source: Source, name: str, header: int, tokens: list[Token], *, purpose: str, check_notes: tuple[CheckNote, ...]
) -> Statement:
    """The statement made of these tokens of the file, the first and the last of which are code."""
    pieces, parameters = _rewrite(tokens)
    pieces.append(Piece(f" /* {source.path.stem}.{name} */", tokens[-1].end, 1))
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
        keyword=next((token.text.lower() for token in tokens if token.kind is Kind.WORD), ""),
        check_notes=check_notes,
        _source=source,
        _starts=tuple(starts),
        _pieces=tuple(pieces),
    )


def _rewrite(tokens: Iterable[Token]) -> tuple[list[Piece], tuple[str, ...]]:
    numbers: dict[str, int] = {}
    pieces: list[Piece] = []
    for is_gap, run in groupby(tokens, key=lambda token: token.is_gap):
        run_tokens = list(run)
        pieces += [_gap(run_tokens)] if is_gap else [_code(token, numbers) for token in run_tokens]
    return pieces, tuple(numbers)


def _code(token: Token, numbers: dict[str, int]) -> Piece:
    text = token.text
    if token.kind is Kind.PLACEHOLDER:
        text = f"${numbers.setdefault(text[1:], len(numbers) + 1)}"
    return Piece(text, token.start, len(token.text))


def _gap(run: list[Token]) -> Piece:
    """What is left of white space and comments: a line break and the indentation after it, or the space in a line."""
    last = run[-1].text if run[-1].kind is Kind.SPACE else ""
    if any(token.kind is Kind.SPACE and NEWLINE.search(token.text) for token in run):
        text = "\n" + NEWLINE.split(last)[-1]
    else:
        text = last if len(run) == 1 and last else " "
    return Piece(text, run[-1].end - len(text), len(text))
