"""Where the password of a connection comes from: a string, a file or a function."""

import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path

from app.db.errors import DatabaseUnavailable

Password = str | Path | Callable[[], str | Awaitable[str]]


def password_reader(password: Path | Callable[[], str | Awaitable[str]]) -> Callable[[], Awaitable[str]]:
    """Return a function that reads the password. It raises DatabaseUnavailable when the file is unreadable."""

    async def read() -> str:
        if isinstance(password, Path):
            return _first_line(password)
        value = password()
        return await value if inspect.isawaitable(value) else value

    return read


def _first_line(file: Path) -> str:
    try:
        return file.read_text().partition("\n")[0]
    except OSError as error:
        raise DatabaseUnavailable(f"cannot read the password from {file}: {error.strerror}") from error
