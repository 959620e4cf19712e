"""Settings that hold for one transaction and travel with its BEGIN: a tenant for row-level security, a limit."""

import re
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.db.connection import Connection
    from app.db.database import Database
    from app.db.queries import Query

Settings = Mapping[str, str | int | float | bool]
"""`{"app.tenant": "7"}`: names of settings and their values; True and False are `on` and `off`."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(?:\.[A-Za-z_][A-Za-z0-9_$]*)*")


def local_settings(settings: Settings | None) -> str:
    """SQL that sets them until the end of the transaction, nothing for none.

    Raises ValueError for what is no name of a setting or no value of one.
    """
    if not settings:
        return ""
    calls = (f"set_config({_literal(name)}, {_literal(value)}, true)" for name, value in _checked(settings))
    return f"select {', '.join(calls)};"


class WithSettings:
    """An executor: each statement runs in a transaction of its own that has these settings."""

    def __init__(self, db: "Database", settings: Settings) -> None:
        local_settings(settings)
        self._db = db
        self._settings = settings

    def _transaction(self) -> "AbstractAsyncContextManager[Connection]":
        return self._db.transaction(settings=self._settings)

    async def run_query(self, query: "Query", arguments: tuple[object, ...]) -> list[Any]:
        """What a bound function calls; see Executor."""
        async with self._transaction() as tx:
            return await tx.run_query(query, arguments)

    @asynccontextmanager
    async def stream_query(self, query: "Query", arguments: tuple[object, ...]) -> AsyncGenerator[Any]:
        """What a bound stream calls; see Executor."""
        async with self._transaction() as tx, tx.stream_query(query, arguments) as rows:
            yield rows

    async def copy_rows(self, query: "Query", rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        """What a bound copy calls; see Executor."""
        async with self._transaction() as tx:
            return await tx.copy_rows(query, rows)


def _checked(settings: Settings) -> Iterable[tuple[str, str]]:
    for name, value in settings.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):  # pyright: ignore[reportUnnecessaryIsInstance] - it becomes SQL
            raise ValueError(f"{name!r} is no name of a setting: write it as `app.tenant` or `work_mem`")
        if isinstance(value, bool):
            yield name, "on" if value else "off"
        elif not isinstance(value, (str, int, float)):  # pyright: ignore[reportUnnecessaryIsInstance] - it becomes SQL
            raise ValueError(f"the setting {name} takes text or a number, not {type(value).__name__}")  # noqa: TRY004 - as for every option
        elif "\0" in str(value):
            raise ValueError(f"the setting {name} has a NUL character, which text cannot hold")
        else:
            yield name, str(value)


def _literal(text: str) -> str:
    """A literal that means the same whatever standard_conforming_strings says."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
