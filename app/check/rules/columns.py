"""Compare columns with the fields of the row type: names, types and nulls."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from app.check.postgres.describe import Description, ResultColumn, are_null_together, shows_its_row
from app.check.postgres.server_types import is_array
from app.check.python.bound_functions import BoundFunction
from app.check.python.declared import Declared
from app.check.python.text_places import column_offsets
from app.check.python.type_text import python_type
from app.check.rules.exemptions import Exemptions
from app.check.rules.problems import Problem
from app.check.rules.type_fit import misfit, required_parts
from app.db.binding.annotations import element
from app.db.binding.row_fields import split_optional
from app.db.sql.places import Place


class Filling(NamedTuple):
    """A field, the column that fills it, and the place of the column."""

    declared: Declared
    column: ResultColumn
    place: Place


def check_columns(signature: BoundFunction, description: Description, allowed: Exemptions) -> Iterator[Problem]:
    """Yield the problems of a bound function's row type."""
    columns = description.columns
    if signature.query.cardinality in {"none", "copy"} or (signature.query.cardinality == "number" and not columns):
        return
    places = [
        signature.query.statement.locate(offset)
        for offset in column_offsets(signature.query.statement.text, len(columns))
    ]
    yield from _names(signature, columns, places)
    found = list(fillings(signature, columns, places))
    rows: dict[str, list[ResultColumn]] = defaultdict(list)
    for declared, column, _ in found:
        rows[declared.optional_row].append(column)
    for row in signature.optional_rows([column.name for column in columns]):
        if row.name in rows:
            yield from _confusable(signature, row, rows[row.name])
    for filling in found:
        row = filling.declared.optional_row
        yield from _check(signature, filling, allowed, may_be_missing=row != "" and are_null_together(rows[row]))


def _confusable(signature: BoundFunction, row: Declared, columns: Sequence[ResultColumn]) -> Iterator[Problem]:
    """Yield the optional nested rows that exist but are read as missing."""
    if are_null_together(columns) and not any(map(shows_its_row, columns)):
        names = ", ".join(column.name for column in columns)
        yield Problem(
            signature.name,
            signature.query.statement.locate(0),
            f"{row.name} that is there cannot be told from one that is missing: JSON null is None, too",
            "select a column beside it that is never null where the row is there, such as its key",
            python=f"{row.place}: {row.text}",
            postgresql=f"the columns of {row.name} are {names}, and none that is never null is other than JSON",
        )


def fillings(signature: BoundFunction, columns: Sequence[ResultColumn], places: Sequence[Place]) -> Iterator[Filling]:
    """Return each field with the column that fills it and the column's place."""
    if signature.is_scalar:
        if len(columns) == 1:
            yield Filling(signature.fields([])[0], columns[0], places[0])
        return
    declared = {field.name: field for field in signature.fields([column.name for column in columns])}
    for column, place in zip(columns, places, strict=True):
        if column.name in declared:
            yield Filling(declared[column.name], column, place)


def _check(
    signature: BoundFunction, filling: Filling, allowed: Exemptions, *, may_be_missing: bool
) -> Iterator[Problem]:
    declared, column, _ = filling
    reason = misfit(column.type, declared.annotation, writes=False)
    if reason:
        optional = " | None" if declared.optional else ""
        mend = f"declare it `{python_type(column.type)}{optional}`, or cast the column"
        yield _problem(signature, filling, f"the column {column.name} does not fit: {reason}", mend)
    # A nested row is None where all of it is null: so its columns must be null together, and none of them alone.
    only_with_its_row = may_be_missing and column.absence is not None and column.absence.only
    if not (column.never_null or declared.optional or only_with_its_row) and not allowed.allow("not null", column.name):
        mend = (
            f"declare it `{_nullable(declared.text.removeprefix('-> '))}`, select coalesce(…), or say"
            f" `-- check: not null {column.name}, because …`"
        )
        yield _problem(
            signature, filling, f"the column {column.name} can be null, and the annotation does not allow None", mend
        )
    if not reason:
        yield from _inner_nulls(signature, filling, allowed)


def _inner_nulls(signature: BoundFunction, filling: Filling, allowed: Exemptions) -> Iterator[Problem]:
    """Yield problems with nulls inside a value: in an array or a composite."""
    annotation, column = filling.declared.annotation, filling.column
    if _needs_elements(column, annotation) and not allowed.allow("not null", f"{column.name}[]"):
        message = f"an element of {column.name} can be null, and the annotation does not allow None"
        mend = "let the elements be None, keep nulls out by `array_remove(…, null)`, or say"
        yield _problem(signature, filling, message, f"{mend} `-- check: not null {column.name}[], because …`")
    for part in required_parts(column.type, annotation, column.name):
        if not allowed.allow("not null", part):
            message = f"{part} can be null, as every part of a composite, and the annotation does not allow None"
            mend = f"let it be None, or say `-- check: not null {part}, because …`"
            yield _problem(signature, filling, message, mend)


def _needs_elements(column: ResultColumn, annotation: Any) -> bool:
    """Return whether the annotation needs an array without nulls, and it is not proved to be one."""
    of = element(annotation)
    required = of not in (None, Any) and not split_optional(of)[1]
    return required and is_array(column.type) and not column.holds_no_null


def _nullable(annotation: str) -> str:
    return f"{annotation[:-1]} | None]" if annotation.startswith("list[") else f"{annotation} | None"


def _names(signature: BoundFunction, columns: Sequence[ResultColumn], places: Sequence[Place]) -> Iterator[Problem]:
    names = [column.name for column in columns]
    if not names:
        yield _misnamed(signature, signature.query.statement.locate(0), "the statement returns no columns", names)
    elif signature.is_scalar:
        if len(names) > 1:
            yield _misnamed(signature, places[1], f"a scalar is one column, and these are {len(names)}", names)
    else:
        fields = [declared.name for declared in signature.fields(names)]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield _misnamed(signature, places[index], f"the column {name} comes twice", names)
            elif name not in fields:
                yield _misnamed(signature, places[index], f"the column {name} has no field", names)
        for declared in signature.fields(names):
            if declared.name not in names:
                yield _missing(signature, declared, places[0], names)


def _misnamed(signature: BoundFunction, place: Place, message: str, names: Sequence[str]) -> Problem:
    return Problem(
        signature.name,
        place,
        message,
        'name the columns as the fields are named, each once; a nested field as `"author.username"`',
        python=f"{signature.returns.place}: {signature.returns.text}",
        postgresql=f"the columns are {', '.join(names) or 'none'}",
    )


def _missing(signature: BoundFunction, declared: Declared, place: Place, names: Sequence[str]) -> Problem:
    return Problem(
        signature.name,
        place,
        f"the field {declared.name} has no column",
        f'select it: `… as "{declared.name}"`; or delete the field',
        python=f"{declared.place}: {declared.text}",
        postgresql=f"the columns are {', '.join(names)}",
    )


def _problem(signature: BoundFunction, filling: Filling, message: str, mend: str) -> Problem:
    declared, column, place = filling
    nulls = "never null" if column.never_null else "not proved never null"
    if declared.optional_row and not column.never_null:
        nulls += f" where {declared.optional_row} is there"
    if _needs_elements(column, declared.annotation):
        nulls += ", its elements not proved never null"
    return Problem(
        signature.name,
        place,
        message,
        mend,
        python=f"{declared.place}: {declared.text}",
        postgresql=f"{column.name} is {column.type.name}, {nulls}",
    )
