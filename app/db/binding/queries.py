"""Binds named statements to typed Python signatures.

    queries = Queries(SQL / "users.sql", resource="profile", conflicts={"users_email_key": "email"})

    @queries.bind
    async def find_user(db: Executor, *, email: str) -> User | None:
        \"\"\"The account with this e-mail address, or None.\"\"\"
        ...

The function's name picks the statement, its keyword arguments are the `:placeholders`, its return type is the
cardinality: `Row` exactly one, `Row | None`, `list[Row]`, `None`, and `int` for the number of rows touched by a
statement that returns none; `AbstractAsyncContextManager[AsyncIterator[Row]]` is a stream. docs/sql-files.md has an
example of each.
"""

import difflib
import functools
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

from app.db.binding.functions import compile_function
from app.db.binding.query import PREFETCH, FileOptions, Query
from app.db.binding.signature import Signature, read_signature, where
from app.db.errors import BindingError
from app.db.sql.file import load_statements

F = TypeVar("F", bound=Callable[..., Any])


class Queries:
    """The statements of one SQL file and the functions bound to them.

    `resource` is the name of a missing row in NotFound. `conflicts` maps a unique constraint to the field in Conflict.
    `references` maps a foreign key to the resource in NotFound. `harmless` names your own SQL functions that neither
    write nor change the session; a statement that calls any other function costs a reset of the session each time.
    Raises SQLFileError when the file is invalid.
    """

    def __init__(
        self,
        path: Path,
        *,
        resource: str | None = None,
        conflicts: Mapping[str, str] | None = None,
        references: Mapping[str, str] | None = None,
        harmless: Collection[str] = (),
    ) -> None:
        self.path = path
        self.resource = resource or path.stem
        self.conflicts = dict(conflicts or {})
        self.references = dict(references or {})
        self.harmless = frozenset(harmless)
        self.options = FileOptions(self.resource, self.conflicts, self.references, self.harmless)
        self.statements = load_statements(path)
        self.bound: dict[str, Query] = {}
        self.signatures: dict[str, Signature] = {}
        self.functions: dict[str, Callable[..., Any]] = {}

    @overload
    def bind(self, function: F) -> F: ...
    @overload
    def bind(self, *, prefetch: int) -> Callable[[F], F]: ...
    def bind(self, function: Any = None, *, prefetch: int = PREFETCH) -> Any:
        """Bind the function to the statement of its name.

        `prefetch` is how many rows a stream fetches at a time, and the most that it keeps in memory. Raises
        BindingError, at import, when name, arguments or return type do not match the statement.
        """
        if function is None:
            return functools.partial(self._bind, prefetch=prefetch)
        return self._bind(function, prefetch=prefetch)

    def _bind(self, function: Callable[..., Any], *, prefetch: int) -> Callable[..., Any]:
        name = function.__name__
        statement = self.statements.get(name)
        if statement is None:
            near = self._nearest(name)
            raise BindingError(f"{where(function)}: there is no statement {name!r} in {self.path.name}{near}")
        if name in self.bound:
            raise BindingError(f"{where(function)}: {name!r} is bound already")
        if prefetch < 1:
            raise BindingError(f"{where(function)}: a stream cannot prefetch {prefetch} rows")
        signature = read_signature(function, statement)
        query = self.bound[name] = Query(statement, signature, self.options, prefetch=prefetch)
        self.signatures[name] = signature
        bound = functools.update_wrapper(compile_function(signature, query), function)
        self.functions[name] = bound
        return bound

    def _nearest(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.statements, n=1)
        return f"; did you mean {near[0]!r}?" if near else ""
