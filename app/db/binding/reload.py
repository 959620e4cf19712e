"""Optional: reload for development. A changed SQL file takes effect on the next call; a broken one changes nothing."""

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from app.db.binding.functions import compile_function
from app.db.binding.queries import Queries
from app.db.binding.query import Executor, Query
from app.db.binding.signature import read_signature
from app.db.errors import BindingError, SQLFileError
from app.db.sql.file import load_statements
from app.db.sql.statement import Statement

logger = logging.getLogger("app.db")


def reload_on_change(queries: Queries) -> None:
    """Check the SQL file, and the files that it includes from, before every call of its functions; load what changed.

    The Python side stays as it was imported: a statement that does not match it is logged as broken. The functions get
    other code when they are watched, so that reloading costs nothing where it is not used.
    """
    file = WatchedFile(queries)
    for name, function in queries.functions.items():
        watched = compile_function(queries.signatures[name], queries.bound[name], file.executor)
        function.__code__ = watched.__code__
        function.__globals__.update(watched.__globals__)


class WatchedFile:
    """An SQL file, the last valid queries of it, and the changed queries that have not run yet."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._paths = _paths(queries.path, queries.statements)
        self._seen = self._versions()
        self._good = dict(queries.bound)
        self._untried: dict[str, Query] = {}

    def executor(self, db: Executor) -> "_Watched":
        """Return an executor that runs the present text of each query on `db`."""
        if self._versions() != self._seen:
            self._load()
            self._seen = self._versions()
        return _Watched(self, db)

    def current(self, name: str) -> Query:
        """Return the query to run."""
        return self._untried.get(name) or self._good[name]

    def accept(self, query: Query) -> None:
        """Record that the text is valid: it ran, or failed for another reason."""
        if self._untried.get(query.function) is query:
            self._good[query.function] = self._untried.pop(query.function)

    def fall_back(self, query: Query, error: BindingError) -> Query | None:
        """Log why a text is broken. Return the last valid query, or None if this is the last valid one."""
        if self._untried.get(query.function) is not query:
            return None
        del self._untried[query.function]
        logger.error("%s\nthe last good text of %s stays", error, query.function)
        return self._good[query.function]

    def _versions(self) -> dict[Path, tuple[int, int] | None]:
        return {path: _version(path) for path in self._paths}

    def _load(self) -> None:
        try:
            statements = load_statements(self._queries.path)
            fresh = {name: self._bound(statements.get(name), name) for name in self._good}
        except (SQLFileError, BindingError) as error:
            # The message shows the place in the SQL file; a traceback would bury it.
            logger.error("%s\nthe last good texts of %s stay", error, self._queries.path.name)  # noqa: TRY400 - the place in the file says it, a traceback would not
            return
        self._paths = _paths(self._queries.path, statements)
        self._untried = {name: query for name, query in fresh.items() if query.text != self._good[name].text}

    def _bound(self, statement: Statement | None, name: str) -> Query:
        signature = self._queries.signatures[name]
        if statement is None:
            raise BindingError(f"{signature.where}: there is no statement {name!r} in {self._queries.path.name}")
        # Read again, because it also holds the table that rows are copied into.
        signature = read_signature(signature.function, statement)
        return Query(statement, signature, self._queries.options, prefetch=self._good[name].prefetch)


class _Watched:
    """An executor that runs the present text of each query."""

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
        # A broken text fails before the first row is consumed, so that all rows are left for the valid one.
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
    """Return the arguments in the order of the present text's placeholders."""
    by_name = dict(zip(query.parameters, arguments, strict=True))
    return tuple(by_name[name] for name in current.parameters)


def _paths(path: Path, statements: Mapping[str, Statement]) -> set[Path]:
    """Return the files that the statements come from: their own, and those that fragments are included from."""
    return {path}.union(*(statement.paths for statement in statements.values()))


def _version(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        # An editor that saves by renaming leaves a moment without a file.
        return None
    return status.st_mtime_ns, status.st_size
