"""The text of an SQL file, and the places in it that errors point at."""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from app.db.errors import SQLFileError

NEWLINE = re.compile(r"\r\n|\n|\r")
"""The end of a line."""


@dataclass(frozen=True, slots=True)
class Place:
    """A character in a file. Line and column count from 1; `source` is the text of the line."""

    path: Path
    line: int
    column: int
    source: str = field(repr=False)

    def __str__(self) -> str:
        return f"{shown(self.path)}:{self.line}:{self.column}"

    def report(self, message: str) -> str:
        """Return three lines: `sql/users.sql:12:8: message`, the source line, and a caret beneath the character."""
        # A tab stays a tab, so that the caret lines up at any tab width.
        indent = "".join("\t" if character == "\t" else " " for character in self.source[: self.column - 1])
        return f"{self}: {message}\n{self.source}\n{indent}^"


class Source:
    """The text of a file. Offsets count its characters from 0."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self._lines = [0, *(newline.end() for newline in NEWLINE.finditer(text))]

    def place(self, offset: int) -> Place:
        """Return the line and column of a character."""
        line = bisect_right(self._lines, offset)
        start = self._lines[line - 1]
        return Place(self.path, line, offset - start + 1, NEWLINE.split(self.text[start:], maxsplit=1)[0])

    def before(self, offset: int) -> str:
        """Return the part of the line before a character."""
        return self.text[self._lines[bisect_right(self._lines, offset) - 1] : offset]

    def error(self, offset: int, message: str) -> SQLFileError:
        """Return the error for a character: its place, the message and the line."""
        return SQLFileError(self.place(offset).report(message))


def read_source(path: Path) -> Source:
    """Read a UTF-8 file, without its byte order mark. Raises SQLFileError when it cannot be read or is not UTF-8."""
    try:
        return Source(path, path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SQLFileError(f"{shown(path)}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SQLFileError(f"{shown(path)}:{line}: this is not UTF-8: {error.reason}") from error


def shown(path: Path) -> Path:
    """Return the path as messages show it: relative to the current folder if it is inside it."""
    absolute, folder = path.absolute(), Path.cwd()
    return absolute.relative_to(folder) if absolute.is_relative_to(folder) else path
