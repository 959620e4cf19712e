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
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

import asyncpg

from app.db.annotations import Reason
from app.db.binding import compile_function
from app.db.effects import effects_of
from app.db.errors import BadArgument, BinderyError, BindingError, Conflict, NotFound
from app.db.generic import REFUSED, is_refused_at_run, mend
from app.db.refused import bad_argument
from app.db.rows import RowType
from app.db.shapes import Shape, shape_of
from app.db.signature import Signature, read_signature, where
from app.db.sqlfile import Statement, load_statements
from app.db.types import guards, parameter_problem

F = TypeVar("F", bound=Callable[..., Any])
PREFETCH = 500
"""How many rows a stream asks for at a time where nothing else is said."""


class Executor(Protocol):
    """Whatever runs a bound function: the Database itself, or the connection that acquire() or transaction() yields."""

    def run_query(self, query: "Query", arguments: tuple[object, ...]) -> Awaitable[list[Any]]:
        """The built rows of a statement; for a statement without columns one number, how many rows it touched."""
        ...

    def stream_query(self, query: "Query", arguments: tuple[object, ...]) -> AbstractAsyncContextManager[Any]:
        """The built rows of a statement, fetched while they are consumed."""
        ...

    async def copy_rows(self, query: "Query", rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        """Copy rows into a table, all or none; how many there were."""
        ...


class Query:
    """A statement and the signature bound to it."""

    __slots__ = (
        "annotations",
        "cardinality",
        "conflicts",
        "copy",
        "function",
        "parameters",
        "prefetch",
        "python_place",
        "reads_only",
        "references",
        "resource",
        "row_type",
        "statement",
        "text",
        "touches_session",
    )

    def __init__(
        self, statement: Statement, signature: Signature, queries: "Queries", *, prefetch: int = PREFETCH
    ) -> None:
        self.statement = statement
        self.function = statement.name
        self.python_place = signature.where
        self.cardinality = signature.cardinality
        self.row_type: RowType | None = signature.row_type
        self.copy = signature.copy
        self.prefetch = prefetch
        self.text = statement.text
        self.parameters = statement.parameters
        self.annotations = tuple(signature.hints[name] for name in statement.parameters)
        effects = effects_of(statement.text, queries.harmless)
        self.touches_session = effects.touches_session
        self.reads_only = effects.reads_only
        self.resource = queries.resource
        self.conflicts = queries.conflicts
        self.references = queries.references

    @property
    def declared_row(self) -> Any:
        """The dataclass or scalar that a row is declared to be, None where there are no rows."""
        return self.row_type and self.row_type.type

    def list_builder(
        self, columns: Sequence[asyncpg.Attribute], known: Mapping[int, Shape]
    ) -> Callable[[Sequence[asyncpg.Record]], list[Any]]:
        """A function from records with these columns to rows; BindingError where signature and columns differ."""
        if self.row_type is None or (not columns and self.cardinality == "number"):
            return list
        if not columns:
            raise self.fault(
                "the statement returns no columns; declare the function -> None, or -> int for a row count"
            )
        try:
            shapes = {column.name: shape_of(column.type, known) for column in columns}
            build = self.row_type.list_builder([column.name for column in columns], shapes)
            self.row_type.check_types(shapes)
        except BindingError as error:
            raise self.fault(str(error)) from None
        return build

    def guards(self, shapes: Sequence[Shape]) -> list[tuple[int, Reason]]:
        """The tests that refuse() makes of values which annotations leave open; BindingError where types differ."""
        for name, annotation, shape in zip(self.parameters, self.annotations, shapes, strict=True):
            if problem := parameter_problem(annotation, shape):
                raise self.fault(f"argument {name!r} {problem}")
        return guards(self.annotations, shapes)

    def refuse(self, arguments: tuple[object, ...], guarded: list[tuple[int, Reason]]) -> None:
        """BadArgument for a value that the driver would convert in silence."""
        for index, reason in guarded:
            if problem := reason(arguments[index]):
                raise BadArgument(self.function, self.parameters[index], problem)

    def fault(self, problem: str) -> BindingError:
        """A BindingError that names both sides of this binding."""
        place = self.statement.place
        return BindingError(f"{place}: {self.function}: {problem}\n(bound at {self.python_place})")

    def refused(self, error: asyncpg.PostgresError) -> BindingError:
        """A BindingError for what the server says about the text, at the place in the file that it points to."""
        report = self._report(error)
        return self.fault(str(error)) if report is None else BindingError(report)

    def translate(self, error: Exception, arguments: tuple[object, ...]) -> Exception:
        """The layer's own error for one that the driver raised, or the same error, with a note where it comes from."""
        own = self._translated(error, arguments)
        if own is None and not isinstance(error, BinderyError):
            place = f"{self.statement.place}: in {self.function}"
            error.add_note((isinstance(error, asyncpg.PostgresError) and self._report(error)) or place)
        return own or error

    def _report(self, error: asyncpg.PostgresError) -> str | None:
        """Place, line and caret of what the server points to in our text; None where it points nowhere in it."""
        position: str | None = error.position
        return None if position is None else self.statement.locate(int(position) - 1).report(str(error))

    def _translated(self, error: Exception, arguments: tuple[object, ...]) -> Exception | None:
        if not isinstance(error, asyncpg.PostgresError):
            return None
        if own := bad_argument(self.function, self.parameters, arguments, error):
            return own
        if isinstance(error, asyncpg.UniqueViolationError):
            field = self.conflicts.get(error.constraint_name or "")
            return Conflict(field) if field else None
        if isinstance(error, asyncpg.ForeignKeyViolationError):
            resource = self.references.get(error.constraint_name or "")
            return NotFound(resource) if resource else None
        if isinstance(error, asyncpg.SyntaxOrAccessError) and error.position:
            # A migration renamed or dropped what the prepared statement names; a function's own error has no position.
            return self.refused(error)
        return self.fault(f"{REFUSED}: {error.message}; {mend(error)}") if is_refused_at_run(error) else None


class Queries:
    """The statements of one SQL file and the functions bound to them.

    `resource` is what NotFound calls a missing row, `conflicts` maps a unique constraint to the field at fault, and
    `references` maps a foreign key to the resource that turned out to be gone. `harmless` names functions of one's own
    that leave the session alone and write nothing: without it a statement that calls them costs a reset of the session
    each time. Raises SQLFileError for a bad file.
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
        self.statements = load_statements(path)
        self.bound: dict[str, Query] = {}
        self.signatures: dict[str, Signature] = {}
        self.functions: dict[str, Callable[..., Any]] = {}

    @overload
    def bind(self, function: F) -> F: ...
    @overload
    def bind(self, *, prefetch: int) -> Callable[[F], F]: ...
    def bind(self, function: Any = None, *, prefetch: int = PREFETCH) -> Any:
        """Give the function its statement; BindingError at import where name, arguments or return type do not fit.

        `prefetch` is how many rows a stream fetches at a time: as many are in memory at most.
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
        query = self.bound[name] = Query(statement, signature, self, prefetch=prefetch)
        self.signatures[name] = signature
        bound = functools.update_wrapper(compile_function(signature, query), function)
        self.functions[name] = bound
        return bound

    def _nearest(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.statements, n=1)
        return f"; did you mean {near[0]!r}?" if near else ""
