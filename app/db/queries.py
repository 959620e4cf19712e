"""Binds named statements to typed Python signatures.

    queries = Queries(SQL / "users.sql", resource="profile", conflicts={"users_email_key": "email"})

    @queries.bind
    async def find_user(db: Executor, *, email: str) -> User | None:
        \"\"\"The account with this e-mail address, or None.\"\"\"
        ...

The function's name picks the statement, its keyword arguments are the `:placeholders`, its return type is the
cardinality: `Row` exactly one, `Row | None`, `list[Row]`, `None`, and `int` for the number of rows touched by a
statement that returns none.
"""

import difflib
import functools
import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, cast, get_args, get_origin, get_type_hints

import asyncpg

from app.db.effects import effects_of
from app.db.errors import BadArgument, BindingError, Conflict, NotFound, TooManyRows
from app.db.rows import RowBuilder, RowType, split_optional
from app.db.sqlfile import Statement, load_statements

P = ParamSpec("P")
T = TypeVar("T")


class Executor(Protocol):
    """Whatever runs a bound function: the Database itself, or the connection that acquire() or transaction() yields."""

    async def run_query(self, query: "Query", arguments: tuple[object, ...]) -> list[Any]:
        """The built rows of a statement; for a statement without columns one number, how many rows it touched."""
        ...


class Query:
    """A statement and the signature bound to it."""

    __slots__ = (
        "cardinality",
        "conflicts",
        "function",
        "parameters",
        "reads_only",
        "references",
        "resource",
        "row_type",
        "statement",
        "text",
        "touches_session",
    )

    def __init__(self, statement: Statement, cardinality: str, row_type: RowType | None, queries: "Queries") -> None:
        self.statement = statement
        self.function = statement.name
        self.cardinality = cardinality
        self.row_type = row_type
        self.text = statement.text
        self.parameters = statement.parameters
        effects = effects_of(statement.text, queries.harmless)
        self.touches_session = effects.touches_session
        self.reads_only = effects.reads_only
        self.resource = queries.resource
        self.conflicts = queries.conflicts
        self.references = queries.references

    def builder(self, columns: Sequence[str]) -> RowBuilder:
        """A function from a record with these columns to a row; BindingError where signature and columns differ."""
        if self.row_type is None or (not columns and self.cardinality == "number"):
            return lambda record: record
        if not columns:
            raise self.fault(
                "the statement returns no columns; declare the function -> None, or -> int for a row count"
            )
        try:
            return self.row_type.builder(columns)
        except BindingError as error:
            raise self.fault(str(error)) from None

    def fault(self, problem: str) -> BindingError:
        """A BindingError that names both sides of this binding."""
        place = self.statement.place
        return BindingError(f"{place}: {self.function}: {problem}")

    def refused(self, error: asyncpg.PostgresError) -> BindingError:
        """A BindingError for what the server says about the text, at the place in the file that it points to."""
        position: str | None = error.position
        if position is None:
            return self.fault(str(error))
        return BindingError(self.statement.locate(int(position) - 1).report(str(error)))

    def translate(self, error: Exception, arguments: tuple[object, ...]) -> Exception:
        """The layer's own error for one that the driver raised, or the same error where there is none."""
        if isinstance(error, asyncpg.UniqueViolationError):
            field = self.conflicts.get(error.constraint_name or "")
            return Conflict(field) if field else error
        if isinstance(error, asyncpg.ForeignKeyViolationError):
            resource = self.references.get(error.constraint_name or "")
            return NotFound(resource) if resource else error
        if isinstance(error, asyncpg.DataError):
            return self._bad_argument(error, arguments) or error
        if isinstance(error, asyncpg.SyntaxOrAccessError) and error.position:
            # A migration renamed or dropped what the prepared statement names; a function's own error has no position.
            return self.refused(error)
        return error

    def _bad_argument(self, error: asyncpg.DataError, arguments: tuple[object, ...]) -> BadArgument | None:
        """Which argument the driver or the server could not take: the driver says `$2`, the server only "0x00"."""
        if isinstance(error, asyncpg.CharacterNotInRepertoireError):
            for name, value in zip(self.parameters, arguments, strict=True):
                if "\0" in _text_in(value):
                    return BadArgument(self.function, name, "contains a NUL character, which text cannot hold")
            return None
        marker = str(error).partition(": ")[0]
        number = marker.removeprefix("invalid input for query argument $")
        if marker == number or not number.isdecimal():
            return None
        return BadArgument(self.function, self.parameters[int(number) - 1], _reason(error.__cause__))


def _text_in(value: Any) -> str:
    """All text inside a value, however nested; what is not text counts as none."""
    if isinstance(value, (list, tuple)):
        return "".join(map(_text_in, cast("Sequence[Any]", value)))
    return value if isinstance(value, str) else ""


def _reason(cause: BaseException | None) -> str:
    """Why the driver refused a value: `value out of int64 range`; never the value, which may be secret or huge."""
    if isinstance(cause, UnicodeEncodeError):
        return cause.reason
    # These two speak of types and ranges; a ValueError quotes what it was given.
    return str(cause) if isinstance(cause, (TypeError, OverflowError)) else "is not a value of this type"


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

    def bind(self, function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        """Give the function its statement; BindingError at import where name, arguments or return type do not fit."""
        name = function.__name__
        where = f"{inspect.getfile(function)}:{inspect.unwrap(function).__code__.co_firstlineno}"
        statement = self.statements.get(name)
        if statement is None:
            raise BindingError(f"{where}: there is no statement {name!r} in {self.path.name}{self._nearest(name)}")
        if name in self.bound:
            raise BindingError(f"{where}: {name!r} is bound already")
        hints = get_type_hints(function)
        executor, *parameters = _parameters(function, statement, where)
        cardinality, row_type = _cardinality(hints.get("return", inspect.Parameter.empty), where)
        query = self.bound[name] = Query(statement, cardinality, row_type, self)
        return functools.update_wrapper(_compile(executor, parameters, query), function)

    def _nearest(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.statements, n=1)
        return f"; did you mean {near[0]!r}?" if near else ""


def _parameters(function: Callable[..., object], statement: Statement, where: str) -> list[str]:
    """The names of the executor and of the arguments."""
    parameters = list(inspect.signature(function).parameters.values())
    if not inspect.iscoroutinefunction(function):
        raise BindingError(f"{where}: {function.__name__} must be declared `async def`")
    if not parameters or parameters[0].kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
        raise BindingError(f"{where}: {function.__name__} takes the executor first: (db: Executor, *, …)")
    if any(p.kind is not inspect.Parameter.KEYWORD_ONLY or p.default is not p.empty for p in parameters[1:]):
        raise BindingError(
            f"{where}: after the executor, {function.__name__} takes keyword-only arguments without defaults"
        )
    names = [parameter.name for parameter in parameters[1:]]
    faults = [f":{name} has no argument" for name in statement.parameters if name not in names]
    faults += [f"argument {name!r} has no :{name}" for name in names if name not in statement.parameters]
    if faults:
        raise BindingError(f"{where}: {statement.place}: {statement.name}: {'; '.join(faults)}")
    return [parameters[0].name, *names]


def _cardinality(annotation: Any, where: str) -> tuple[str, RowType | None]:
    if annotation is inspect.Parameter.empty:
        raise BindingError(f"{where}: the return type is missing; it says how many rows there are")
    if annotation is None or annotation is type(None):
        return "none", None
    if annotation is int:
        return "number", _row_type(int, where)
    inner, optional = split_optional(annotation)
    if optional:
        return "optional", _row_type(inner, where)
    if get_origin(annotation) is list:
        return "many", _row_type(get_args(annotation)[0], where)
    return "one", _row_type(annotation, where)


def _row_type(annotation: Any, where: str) -> RowType:
    try:
        return RowType(annotation)
    except BindingError as error:
        raise BindingError(f"{where}: {error}") from None


# Underscores keep these names apart from statements and placeholders, which may well be called `one` or `query`.
_BODIES = {
    "none": "await {rows}",
    "many": "return await {rows}",
    "one": "return __one__(__query__, await {rows})",
    "number": "return __one__(__query__, await {rows})",
    "optional": "return __optional__(__query__, await {rows})",
}


def _compile(executor: str, parameters: list[str], query: Query) -> Callable[..., Any]:
    """A coroutine function with the bound signature, as short as one that is written by hand."""
    signature = "".join(f", {parameter}" for parameter in ["*", *parameters]) if parameters else ""
    arguments = "".join(f"{parameter}, " for parameter in query.parameters)
    body = _BODIES[query.cardinality].format(rows=f"{executor}.run_query(__query__, ({arguments}))")
    names: dict[str, Any] = {"__query__": query, "__one__": one, "__optional__": optional}
    # The text is made of the identifiers of a signature in our own modules; no input reaches it.
    exec(f"async def {query.function}({executor}{signature}):\n    {body}\n", names)  # noqa: S102
    return names[query.function]


def one(query: Query, rows: list[Any]) -> Any:
    """The only row; NotFound where there is none, TooManyRows where there are several."""
    if len(rows) == 1:
        return rows[0]
    if rows:
        raise TooManyRows(f"{query.statement.place}: {query.function} promises one row and found {len(rows)}")
    raise NotFound(query.resource)


def optional(query: Query, rows: list[Any]) -> Any | None:
    """The only row or None; TooManyRows where there are several."""
    return one(query, rows) if rows else None
