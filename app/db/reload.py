"""Reload in development: a changed SQL file takes effect on the next call, a broken one leaves what was good."""

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from app.db.binding import compile_function
from app.db.errors import BindingError
from app.db.queries import Executor, Queries, Query
from app.db.signature import read_signature
from app.db.source import SQLFileError
from app.db.sqlfile import load_statements

logger = logging.getLogger("app.db")


def reload_on_change(queries: Queries) -> None:
    """From now on look at the SQL file before every call of its functions, and take the statements from it anew.

    The Python side stays as it was imported: a statement that does not fit it is logged as broken. Functions that are
    watched run other code than those that are not, so that being able to reload costs nothing until it is asked for.
    """
    file = WatchedFile(queries)
    for name, function in queries.functions.items():
        watched = compile_function(queries.signatures[name], queries.bound[name], file.executor)
        function.__code__ = watched.__code__
        function.__globals__.update(watched.__globals__)


class WatchedFile:
    """An SQL file, the last texts from it that were good, and those that have not been tried yet."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._seen = self._version()
        self._good = dict(queries.bound)
        self._untried: dict[str, Query] = {}

    def executor(self, db: Executor) -> "_Watched":
        """Runs on `db` what the file says now."""
        version = self._version()
        if version != self._seen:
            self._seen = version
            self._load()
        return _Watched(self, db)

    def current(self, name: str) -> Query:
        """The query to run."""
        return self._untried.get(name) or self._good[name]

    def accept(self, query: Query) -> None:
        """It ran, or failed for a reason that is none of its text: the text is good."""
        if self._untried.get(query.function) is query:
            self._good[query.function] = self._untried.pop(query.function)

    def fall_back(self, query: Query, error: BindingError) -> Query | None:
        """Log why a text is broken; the last good one, or None where this was it."""
        if self._untried.get(query.function) is not query:
            return None
        del self._untried[query.function]
        logger.error("%s\nthe last good text of %s stays", error, query.function)
        return self._good[query.function]

    def _version(self) -> tuple[int, int] | None:
        try:
            status = self._queries.path.stat()
        except FileNotFoundError:
            # An editor that saves by renaming leaves a moment without a file; so does one who deletes it.
            return None
        return status.st_mtime_ns, status.st_size

    def _load(self) -> None:
        try:
            statements = load_statements(self._queries.path)
            fresh = {name: self._bound(statements.get(name), name) for name in self._good}
        except (SQLFileError, BindingError) as error:
            # The message shows the place in the SQL file; a traceback of ours would only bury it.
            logger.error("%s\nthe last good texts of %s stay", error, self._queries.path.name)  # noqa: TRY400 - the place in the file says it, a traceback would not
            return
        self._untried = {name: query for name, query in fresh.items() if query.text != self._good[name].text}

    def _bound(self, statement: Any, name: str) -> Query:
        signature = self._queries.signatures[name]
        if statement is None:
            raise BindingError(f"{signature.where}: there is no statement {name!r} in {self._queries.path.name}")
        # Read anew, for it also says where rows are copied to.
        signature = read_signature(signature.function, statement)
        return Query(statement, signature, self._queries, prefetch=self._good[name].prefetch)


class _Watched:
    """An executor that runs the current text of whatever query it is given."""

    def __init__(self, file: WatchedFile, db: Executor) -> None:
        self._file = file
        self._db = db

    async def run_query(self, query: Query, arguments: tuple[object, ...]) -> list[Any]:
        return await self._current(
            query, lambda current: self._db.run_query(current, _ordered(query, current, arguments))
        )

    @asynccontextmanager
    async def stream_query(self, query: Query, arguments: tuple[object, ...]) -> AsyncGenerator[Any]:
        async with AsyncExitStack() as stack:
            yield await self._current(
                query,
                lambda current: stack.enter_async_context(
                    self._db.stream_query(current, _ordered(query, current, arguments))
                ),
            )

    async def copy_rows(self, query: Query, rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        # What is wrong with a text shows before the first row is taken: all of them are left for the good one.
        return await self._current(query, lambda current: self._db.copy_rows(current, rows))

    async def _current(self, query: Query, run: Callable[[Query], Any]) -> Any:
        current = self._file.current(query.function)
        try:
            result = await run(current)
        except BindingError as error:
            good = self._file.fall_back(current, error)
            if good is None:
                raise
            return await run(good)
        self._file.accept(current)
        return result


def _ordered(query: Query, current: Query, arguments: tuple[object, ...]) -> tuple[object, ...]:
    """The arguments in the order in which the current text mentions them."""
    by_name = dict(zip(query.parameters, arguments, strict=True))
    return tuple(by_name[name] for name in current.parameters)
