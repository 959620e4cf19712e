"""A statement bound to a function: what its columns become, and what its errors mean."""

from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg

from app.db.binding.annotations import Reason
from app.db.binding.argument_errors import bad_argument
from app.db.binding.generic_plan import REFUSED, is_refused_at_run, mend
from app.db.binding.pg_types import TypeInfo, type_info_of
from app.db.binding.row_type import RowType
from app.db.binding.signature import Signature
from app.db.binding.type_checks import parameter_problem
from app.db.binding.value_checks import value_checks
from app.db.errors import BadArgument, BinderyError, BindingError, Conflict, NotFound
from app.db.sql.effects import effects_of
from app.db.sql.statement import Statement

PREFETCH = 500
"""How many rows a stream fetches at a time by default."""


class Executor(Protocol):
    """What runs bound functions: the Database itself, or the Connection that acquire() or transaction() yields."""

    def run_query(self, query: "Query", arguments: tuple[object, ...]) -> Awaitable[list[Any]]:
        """Return the rows of a statement; for one without columns a list of one number, the rows it touched."""
        ...

    def stream_query(self, query: "Query", arguments: tuple[object, ...]) -> AbstractAsyncContextManager[Any]:
        """Return a context manager that yields the rows of a statement, fetched while they are consumed."""
        ...

    async def copy_rows(self, query: "Query", rows: Iterable[Any] | AsyncIterable[Any]) -> int:
        """Copy rows into a table, all or none. Return how many there were."""
        ...


@dataclass(frozen=True, slots=True)
class FileOptions:
    """What all statements of a file share: names for missing rows and constraints, and harmless functions."""

    resource: str
    conflicts: Mapping[str, str]
    references: Mapping[str, str]
    harmless: Collection[str]


class Query:
    """A statement and the signature bound to it. `name` is file and statement, `articles.get_article`."""

    __slots__ = (
        "_builder",
        "_built_for",
        "annotations",
        "cardinality",
        "conflicts",
        "copy",
        "function",
        "name",
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
        self, statement: Statement, signature: Signature, options: FileOptions, *, prefetch: int = PREFETCH
    ) -> None:
        self.statement = statement
        self.function = statement.name
        self.name = f"{statement.path.stem}.{statement.name}"
        self.python_place = signature.where
        self.cardinality = signature.cardinality
        self.row_type = _row_type(signature)
        self.copy = signature.copy
        self.prefetch = prefetch
        self.text = statement.text
        self.parameters = statement.parameters
        self.annotations = tuple(signature.hints[name] for name in statement.parameters)
        effects = effects_of(statement.text, options.harmless)
        self.touches_session = effects.touches_session
        self.reads_only = effects.reads_only
        self.resource = options.resource
        self.conflicts = options.conflicts
        self.references = options.references
        self._builder: Callable[[Sequence[asyncpg.Record]], list[Any]] = list
        self._built_for: tuple[tuple[str, TypeInfo], ...] = ()

    @property
    def declared_row(self) -> Any:
        """The dataclass or scalar that a row is declared to be. None for a statement without rows."""
        return self.row_type and self.row_type.type

    def list_builder(
        self, columns: Sequence[asyncpg.Attribute], known: Mapping[int, TypeInfo]
    ) -> Callable[[Sequence[asyncpg.Record]], list[Any]]:
        """Return a function from records to rows. Raises BindingError when the columns do not match the signature."""
        if self.row_type is None or (not columns and self.cardinality == "number"):
            return list
        if not columns:
            raise self.fault(
                "the statement returns no columns; declare the function -> None, or -> int for a row count"
            )
        found = tuple((column.name, type_info_of(column.type, known)) for column in columns)
        # Each session prepares each statement, and the milliseconds that this takes hold up the event loop.
        if found != self._built_for:
            self._builder, self._built_for = self._new_builder(self.row_type, found), found
        return self._builder

    def _new_builder(
        self, row_type: RowType, columns: tuple[tuple[str, TypeInfo], ...]
    ) -> Callable[[Sequence[asyncpg.Record]], list[Any]]:
        try:
            build = row_type.list_builder([name for name, _ in columns], dict(columns))
            row_type.check_types(dict(columns))
        except BindingError as error:
            raise self.fault(str(error)) from None
        return build

    def checks(self, infos: Sequence[TypeInfo]) -> list[tuple[int, Reason]]:
        """Return the checks of values that annotations leave open. Raises BindingError when a type does not match."""
        for name, annotation, info in zip(self.parameters, self.annotations, infos, strict=True):
            if problem := parameter_problem(annotation, info):
                raise self.fault(f"argument {name!r} {problem}")
        return value_checks(self.annotations, infos)

    def refuse(self, arguments: tuple[object, ...], checks: list[tuple[int, Reason]]) -> None:
        """Raise BadArgument for a value that the driver would silently convert."""
        for index, reason in checks:
            if problem := reason(arguments[index]):
                raise BadArgument(self.function, self.parameters[index], problem)

    def fault(self, problem: str) -> BindingError:
        """Return a BindingError that names the statement and the function."""
        place = self.statement.place
        return BindingError(f"{place}: {self.function}: {problem}\n(bound at {self.python_place})")

    def refused(self, error: asyncpg.PostgresError) -> BindingError:
        """Return a BindingError for an error of the server in the text, at its place in the file."""
        report = self._report(error)
        return self.fault(str(error)) if report is None else BindingError(report)

    def translate(self, error: Exception, arguments: tuple[object, ...]) -> Exception:
        """Return the layer's error for one of the driver, or the same error with a note that names the statement."""
        own = self._translated(error, arguments)
        if own is None and not isinstance(error, BinderyError):
            place = f"{self.statement.place}: in {self.function}"
            error.add_note((isinstance(error, asyncpg.PostgresError) and self._report(error)) or place)
        return own or error

    def _report(self, error: asyncpg.PostgresError) -> str | None:
        """Return place, line and caret of an error's position in the text; None if it has none."""
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
            # A migration renamed or dropped something in the text. An error inside a function has no position.
            return self.refused(error)
        return self.fault(f"{REFUSED}: {error.message}; {mend(error)}") if is_refused_at_run(error) else None


def _row_type(signature: Signature) -> RowType | None:
    try:
        return None if signature.row is None else RowType(signature.row)
    except BindingError as error:
        raise BindingError(f"{signature.where}: {error}") from None
