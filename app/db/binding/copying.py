"""Optional: turns rows into the tuples of a binary COPY, checking each value once."""

import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any

import asyncpg

from app.db.binding.annotations import Reason, members, refusal
from app.db.binding.arguments import doubtful
from app.db.binding.conversions import Conversion, conversions
from app.db.binding.namespace import Namespace
from app.db.binding.pg_types import TypeInfo
from app.db.binding.query import Query
from app.db.binding.row_fields import fields_of
from app.db.binding.type_checks import parameter_problem
from app.db.binding.value_checks import value_checks
from app.db.errors import BadRow, is_of_the_moment
from app.db.sql.copy_target import CopyTarget

# For these types the driver accepts only values of these Python types, so that only None needs a check.
_REFUSED_BY_DRIVER = {"text": str, "varchar": str, "bpchar": str, "name": str, "bool": bool}
_LINE = re.compile(r"COPY .*?, line (\d+)(?:, column (\S+?):?)?(?:$|:| )")


class Copying:
    """One running COPY: rows in, tuples out.

    After it stops, `number` is the number of its last row, from 1. `callers` is the error that the caller's rows
    raised, if any: it reaches the caller unchanged.
    """

    def __init__(self, query: Query, target: CopyTarget, types: Sequence[TypeInfo]) -> None:
        self.query = query
        self.target = target
        self.number = 0
        self.row: Any = None
        self._types = types
        self.callers: Exception | None = None
        hints = dict(fields_of(query.declared_row))
        self._annotations = [hints[column] for column in target.columns]
        self._check_types(types)
        self._checks = value_checks(self._annotations, types)
        self._conversions = conversions(self._annotations, types)

    def records(self, rows: Iterable[Any] | AsyncIterable[Any]) -> Iterator[Any] | AsyncIterator[Any]:
        """Return the rows as tuples in the order of the columns. Raises BadRow when a field does not allow a value."""
        is_async = isinstance(rows, AsyncIterable)
        return _compiled(self, self._annotations, self._conversions, self._checks, is_async=is_async)(rows)

    def doubt(self, index: int, variable: str, names: Namespace) -> str:
        """Return source of a condition that is true if a value needs the full check; "" if the driver checks it."""
        kinds = set(members(self._annotations[index]))
        if kinds <= {_REFUSED_BY_DRIVER.get(self._types[index].name), type(None)}:
            return "" if type(None) in kinds else f"{variable} is None"
        return doubtful(self._annotations[index], variable, names)

    def _check_types(self, types: Sequence[TypeInfo]) -> None:
        for column, annotation, pg_type in zip(self.target.columns, self._annotations, types, strict=True):
            if problem := parameter_problem(annotation, pg_type):
                raise self.query.fault(f"column {column!r} {problem}")

    def refuse(self, number: int, column: int, reason: Reason, value: object) -> None:
        """Raise BadRow when there is a reason to refuse the value in this row and column."""
        if problem := reason(value):
            raise BadRow(self.query.function, number, self.target.columns[column], problem)

    def translate(self, error: Exception) -> Exception:
        """Return BadRow, with row and if possible column, for an error of the driver or the server."""
        if isinstance(error, asyncpg.PostgresError):
            found = _LINE.search(error.context or "")
            if found is None or is_of_the_moment(error):
                # An error raised by a trigger after the last row belongs to no row.
                return self.query.translate(error, ())
            reason = error.args[0] if error.args else type(error).__name__
            return BadRow(self.query.function, int(found[1]), found[2] or self._column(error), reason)
        if isinstance(error, (TypeError, ValueError, OverflowError, IndexError)) and self.number:
            return self._encoding_problem(error)
        return error

    def _encoding_problem(self, error: Exception) -> BadRow:
        """Return BadRow for a row that the driver could not encode, with the column if its field refuses it."""
        for column, annotation in zip(self.target.columns, self._annotations, strict=True):
            if problem := refusal(annotation)(getattr(self.row, column)):
                return BadRow(self.query.function, self.number, column, problem)
        return BadRow(self.query.function, self.number, None, str(error))

    def _column(self, error: asyncpg.PostgresError) -> str | None:
        name = error.constraint_name or ""
        return error.column_name or self.query.conflicts.get(name)


def _compiled(
    copying: Copying,
    annotations: Sequence[Any],
    conversions: Sequence[tuple[int, Conversion]],
    checks: Sequence[tuple[int, Reason]],
    *,
    is_async: bool,
) -> Callable[..., Any]:
    """Return a generator function that checks each value once and yields tuples: all that Python does for a row."""
    names = Namespace()
    own, refuse = names.give(copying, "copying"), names.give(copying.refuse, "refuse")
    lines: list[str] = []
    for index, annotation in enumerate(annotations):
        lines.append(f"v{index} = row.{copying.target.columns[index]}")
        if doubt := copying.doubt(index, f"v{index}", names):
            reason = names.add(refusal(annotation), "reason")
            lines.append(f"if {doubt}: {refuse}(number, {index}, {reason}, v{index})")
    for index, convert in conversions:
        lines.append(f"v{index} = {names.add(convert, 'convert')}(v{index})")
    for index, check in checks:
        lines.append(f"{refuse}(number, {index}, {names.add(check, 'check')}, v{index})")
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
