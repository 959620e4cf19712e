"""Bulk: `copy books (title, pages) from stdin`, bound to a function that takes rows and sends them by binary COPY."""

import dataclasses
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import asyncpg

from app.db.annotations import Reason, members, refusal
from app.db.arguments import doubtful
from app.db.conversions import Conversion, conversions
from app.db.errors import BadRow, BindingError
from app.db.fields import fields_of
from app.db.lexer import Kind, Token, tokenize
from app.db.own_names import OwnNames
from app.db.shapes import Shape, shape_of
from app.db.statement import Statement
from app.db.types import guards, parameter_problem

if TYPE_CHECKING:
    from app.db.queries import Query
    from app.db.server_connection import ServerConnection

# What the driver itself takes for a value of these types, and nothing else: no test of ours, but for None.
_REFUSED_BY_DRIVER = {"text": str, "varchar": str, "bpchar": str, "name": str, "bool": bool}
_LINE = re.compile(r"COPY .*?, line (\d+)(?:, column (\S+?):?)?(?:$|:| )")


class CopyTarget(NamedTuple):
    """The table that rows are copied into, and its columns in the order of the statement."""

    schema: str | None
    table: str
    columns: tuple[str, ...]

    @property
    def quoted_table(self) -> str:
        """The table as SQL names it."""
        return ".".join(_quoted(name) for name in (self.schema, self.table) if name is not None)

    @property
    def quoted_columns(self) -> str:
        """The columns as SQL lists them."""
        return ", ".join(map(_quoted, self.columns))

    def description(self) -> str:
        """A statement whose result has the types of the columns."""
        return f"select {self.quoted_columns} from {self.quoted_table} where false"  # noqa: S608 - quoted names of ours


def copy_target(statement: Statement) -> CopyTarget:
    """What `copy table (columns) from stdin` names; BindingError with the place for any other COPY."""
    tokens = [token for token in tokenize(statement.text) if not token.is_gap]
    brackets = [index for index, token in enumerate(tokens) if token.text in {"(", ")"}]
    words = [token.text.lower() for token in tokens]
    if len(brackets) != 2 or words[brackets[1] + 1 :] != ["from", "stdin"]:
        message = "a statement that copies is `copy table (column, …) from stdin`, without options"
        raise BindingError(statement.locate(0).report(message))
    names = [_identifier(token) for token in tokens[1 : brackets[0]] if token.text != "."]
    columns = [_identifier(token) for token in tokens[brackets[0] + 1 : brackets[1]] if token.text != ","]
    return CopyTarget(names[0] if len(names) > 1 else None, names[-1], tuple(columns))


def copied_row(annotation: Any, target: CopyTarget, statement: Statement) -> Any:
    """The dataclass that `rows: Iterable[Row] | AsyncIterable[Row]` takes; BindingError where it is none."""
    kinds = {argument for member in members(annotation) for argument in get_args(member)}
    row_type = kinds.pop() if len(kinds) == 1 else None
    if not dataclasses.is_dataclass(row_type) or not isinstance(row_type, type):
        raise BindingError("rows must be declared Iterable[Row] | AsyncIterable[Row], with a dataclass as Row")
    fields = {name for name, _ in fields_of(row_type)}
    faults = [f"no field for column {name!r}" for name in target.columns if name not in fields]
    faults += [f"no column for field {name!r}" for name in sorted(fields.difference(target.columns))]
    if faults:
        raise BindingError(statement.locate(0).report(f"{row_type.__name__} does not fit: {'; '.join(faults)}"))
    return row_type


class Copying:
    """One COPY on its way: rows in, tuples out.

    Once it has stopped, `number` is that of the row it was at, and `callers` is what their source or a row was to blame
    for: it stays the error that it is.
    """

    def __init__(self, query: "Query", target: CopyTarget, types: Sequence[Shape]) -> None:
        self.query = query
        self.target = target
        self.number = 0
        self.row: Any = None
        self._types = types
        self.callers: Exception | None = None
        hints = dict(fields_of(query.declared_row))
        self._annotations = [hints[column] for column in target.columns]
        self._check_types(types)
        self._guards = guards(self._annotations, types)
        self._conversions = conversions(self._annotations, types)

    def records(self, rows: Iterable[Any] | AsyncIterable[Any]) -> Iterator[Any] | AsyncIterator[Any]:
        """The rows as tuples in the order of the columns; BadRow for a value that its field does not allow."""
        is_async = isinstance(rows, AsyncIterable)
        return _compiled(self, self._annotations, self._conversions, self._guards, is_async=is_async)(rows)

    def doubt(self, index: int, variable: str, names: OwnNames) -> str:
        """Source of a condition that is true where a value has to be looked at; "" where the driver does."""
        kinds = set(members(self._annotations[index]))
        if kinds <= {_REFUSED_BY_DRIVER.get(self._types[index].name), type(None)}:
            return "" if type(None) in kinds else f"{variable} is None"
        return doubtful(self._annotations[index], variable, names)

    def _check_types(self, types: Sequence[Shape]) -> None:
        for column, annotation, pg_type in zip(self.target.columns, self._annotations, types, strict=True):
            if problem := parameter_problem(annotation, pg_type):
                raise self.query.fault(f"column {column!r} {problem}")

    def refuse(self, number: int, column: int, reason: Reason, value: object) -> None:
        """BadRow where there is a reason against the value in this row and column."""
        if problem := reason(value):
            raise BadRow(self.query.function, number, self.target.columns[column], problem)

    def translate(self, error: Exception) -> Exception:
        """BadRow, with the number of the row and the column if known, for what the driver or server raised."""
        if isinstance(error, asyncpg.PostgresError):
            found = _LINE.search(error.context or "")
            if found is None:
                # What a trigger says after the last row is of no row.
                return self.query.translate(error, ())
            reason = error.args[0] if error.args else type(error).__name__
            return BadRow(self.query.function, int(found[1]), found[2] or self._column(error), reason)
        if isinstance(error, (TypeError, ValueError, OverflowError, IndexError)) and self.number:
            return self._encoding_problem(error)
        return error

    def _encoding_problem(self, error: Exception) -> BadRow:
        """BadRow for a row that the driver could not encode, with the column where its field does not allow it."""
        for column, annotation in zip(self.target.columns, self._annotations, strict=True):
            if problem := refusal(annotation)(getattr(self.row, column)):
                return BadRow(self.query.function, self.number, column, problem)
        return BadRow(self.query.function, self.number, None, str(error))

    def _column(self, error: asyncpg.PostgresError) -> str | None:
        name = error.constraint_name or ""
        return error.column_name or self.query.conflicts.get(name)


async def copy_rows(server: "ServerConnection", query: "Query", rows: Iterable[Any] | AsyncIterable[Any]) -> int:
    """Send the rows, all or none; how many there were."""
    target = query.copy
    if target is None:
        raise query.fault("is no `copy … from stdin`")
    server.running = query.function
    async with server.one_session():
        copying = Copying(query, target, await _column_shapes(server, query, target))
        records: Any = copying.records(rows)
        try:
            status = await server.copy_records_to_table(
                target.table,
                schema_name=target.schema,
                columns=target.columns,
                records=records,
                timeout=server.patience,
            )
        except BaseException as error:
            # Whoever stops reading a generator in the middle has to close it: then it says which row it was at.
            await records.aclose() if isinstance(rows, AsyncIterable) else records.close()
            own = _failed(server, copying, error)
            if own is error:
                raise
            raise own from error
    return int(status.rpartition(" ")[2])


async def _column_shapes(server: "ServerConnection", query: "Query", target: CopyTarget) -> list[Shape]:
    try:
        described = await server.prepare(target.description(), timeout=server.patience)
    except asyncpg.SyntaxOrAccessError as error:
        raise query.fault(str(error)) from error
    except Exception as error:
        server.raise_translated(error, query, ())
        raise
    types = [attribute.type for attribute in described.get_attributes()]
    known = await server.shapes_of(types)
    return [shape_of(pg_type, known) for pg_type in types]


def _failed(server: "ServerConnection", copying: Copying, error: BaseException) -> BaseException:
    """The layer's own error, where there is one; the connection is told what became of it."""
    own, step = error, copying.query.function
    if not isinstance(error, Exception) or isinstance(error, TimeoutError):
        # The server is told to stop, and only a reset waits until it has.
        server.dirty = True
    if copying.callers is not None:
        # Of a TimeoutError the driver makes another one.
        own = copying.callers
    elif isinstance(error, Exception):
        own = server.own_error(error, step) or copying.translate(error)
    if own is not error:
        own.__cause__ = error
    server.failed(own)
    # A COPY that was not ended fails its transaction, also where the server never saw what was wrong.
    server.failure = server.failure or own
    return own


def _compiled(
    copying: Copying,
    annotations: Sequence[Any],
    conversions: Sequence[tuple[int, Conversion]],
    guards: Sequence[tuple[int, Reason]],
    *,
    is_async: bool,
) -> Callable[..., Any]:
    """A generator function that looks at each value once and yields tuples: all that Python does for a row."""
    names = OwnNames()
    own, refuse = names.give(copying, "copying"), names.give(copying.refuse, "refuse")
    lines: list[str] = []
    for index, annotation in enumerate(annotations):
        lines.append(f"v{index} = row.{copying.target.columns[index]}")
        if doubt := copying.doubt(index, f"v{index}", names):
            reason = names.add(refusal(annotation), "reason")
            lines.append(f"if {doubt}: {refuse}(number, {index}, {reason}, v{index})")
    for index, convert in conversions:
        lines.append(f"v{index} = {names.add(convert, 'convert')}(v{index})")
    for index, guard in guards:
        lines.append(f"{refuse}(number, {index}, {names.add(guard, 'guard')}, v{index})")
    lines.append(f"yield ({''.join(f'v{index}, ' for index in range(len(annotations)))})")
    body = "\n            ".join(["number += 1", *lines])
    prefix = "async " if is_async else ""
    source = f"""
{prefix}def records(rows):
    number, row = 0, None
    try:
        {prefix}for row in rows:
            {body}
    except Exception as error:
        {own}.callers = error
        raise
    finally:
        {own}.number, {own}.row = number, row
"""
    return names.compiled(source, "records")


def _identifier(token: Token) -> str:
    if token.kind is Kind.QUOTED_IDENTIFIER and token.text.startswith('"'):
        return token.text[1:-1].replace('""', '"')
    return token.text.lower()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
