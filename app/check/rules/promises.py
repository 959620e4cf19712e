"""Check what a function promises of all rows: one at most, and which fields may be None."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.check.postgres.describe import Description, ResultColumn
from app.check.postgres.server_types import is_json
from app.check.python.bound_functions import BoundFunction
from app.check.python.declared import Declared
from app.check.rules.columns import fillings
from app.check.rules.exemptions import Exemptions
from app.check.rules.problems import Problem
from app.db.binding.annotations import element
from app.db.binding.row_fields import split_optional


def check_rows(signature: BoundFunction, description: Description, allowed: Exemptions) -> Iterator[Problem]:
    """Return whether a function that promises at most one row has a statement that can yield two."""
    query, columns = signature.query, description.columns
    if query.cardinality not in {"one", "optional", "number"} or not columns or description.at_most_one:
        return
    if allowed.allow("one row"):
        return
    yield Problem(
        signature.name,
        query.statement.locate(0),
        f"{query.function} promises one row, and the statement can yield several",
        f"declare it `-> list[{signature.returns.text.removeprefix('-> ').removesuffix(' | None')}]`, compare every"
        " column of a unique key, add `limit 1`, or say `-- check: one row, because …`",
        python=f"{signature.returns.place}: {signature.returns.text}",
        postgresql=description.unproved,
    )


def check_needless_optionals(pairs: Sequence[tuple[BoundFunction, Description]]) -> Iterator[Problem]:
    """Yield fields, nested rows and array elements that may be None although no statement yields null for them."""
    filled: dict[str, list[_Filled]] = defaultdict(list)
    for signature, description in pairs:
        for way in (
            *_fields(signature, description),
            *_rows(signature, description),
            *_elements(signature, description),
        ):
            filled[f"{way.part}{way.declared.place}"].append(way)
    for ways in filled.values():
        proofs = [way.proof for way in ways if way.proof]
        if len(proofs) == len(ways):
            yield _needless(ways[0], proofs[0])


class _Filled(NamedTuple):
    """A value that may be None, as one statement fills it, and a column that proves it is not."""

    signature: BoundFunction
    declared: Declared
    proof: ResultColumn | None
    part: str = ""
    """Which part of the value it is, if not all of it."""


def _fields(signature: BoundFunction, description: Description) -> Iterator[_Filled]:
    for declared, column in _fillings(signature, description):
        is_either = signature.is_scalar and signature.query.cardinality == "optional"
        if declared.optional and not is_either:
            yield _Filled(signature, declared, column if _is_never_none(column) else None)


def _rows(signature: BoundFunction, description: Description) -> Iterator[_Filled]:
    for row in signature.optional_rows([column.name for column in description.columns]):
        # A row is None where all of its columns are null.
        inside = (column for column in description.columns if column.name.startswith(f"{row.name}."))
        yield _Filled(signature, row, next((column for column in inside if _is_never_none(column)), None))


def _elements(signature: BoundFunction, description: Description) -> Iterator[_Filled]:
    for declared, column in _fillings(signature, description):
        if split_optional(element(declared.annotation))[1]:
            yield _Filled(signature, declared, column if column.holds_no_null else None, "an element of ")


def _is_never_none(column: ResultColumn) -> bool:
    """Return whether Python never gets None from it, not even from JSON's null."""
    return column.never_null and not is_json(column.type)


def _fillings(signature: BoundFunction, description: Description) -> Iterator[tuple[Declared, ResultColumn]]:
    anywhere = [signature.place] * len(description.columns)
    return ((declared, column) for declared, column, _ in fillings(signature, description.columns, anywhere))


def _needless(filled: _Filled, column: ResultColumn) -> Problem:
    signature, declared, _, part = filled
    # The elements are the innermost.
    before, _, after = (str.partition if part else str.rpartition)(declared.text, " | None")
    subject = declared.text.partition(":")[0] if declared.name else f"what {signature.query.function} returns"
    return Problem(
        signature.name,
        declared.place,
        f"{part}{subject} may be None, and no statement that fills it ever yields null",
        f"declare it `{before.removeprefix('-> ')}{after}`",
        python=f"{declared.place}: {declared.text}",
        postgresql=f"{column.name} is {column.type.name}, {'its elements ' if part else ''}never null",
        severity="warning",
    )
