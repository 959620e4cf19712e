"""What a signature promises of all rows: that there is one at most, and which fields may be None."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from app.check.columns import fillings
from app.check.declared import Declared
from app.check.describe import Description, ResultColumn
from app.check.exemptions import Exemptions
from app.check.problems import Problem
from app.check.signatures import Signature


def check_rows(signature: Signature, description: Description, allowed: Exemptions) -> Iterator[Problem]:
    """Whether a function that promises at most one row has a statement that can yield two."""
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


def check_needless_optionals(pairs: Sequence[tuple[Signature, Description]]) -> Iterator[Problem]:
    """The fields and nested rows that may be None although no statement that fills them ever yields null for them."""
    filled: dict[str, list[_Filled]] = defaultdict(list)
    for signature, description in pairs:
        for way in _filled(signature, description):
            filled[str(way.declared.place)].append(way)
    for ways in filled.values():
        signature, declared, proof = ways[0]
        is_either = signature.is_scalar and signature.query.cardinality == "optional"
        if declared.optional and not is_either and proof and all(way.proof for way in ways):
            yield _needless(signature, declared, proof)


class _Filled(NamedTuple):
    """A field or a nested row as one statement fills it, and a column that keeps it from being None."""

    signature: Signature
    declared: Declared
    proof: ResultColumn | None


def _filled(signature: Signature, description: Description) -> Iterator[_Filled]:
    columns = description.columns
    for declared, column, _ in fillings(signature, columns, [signature.place] * len(columns)):
        yield _Filled(signature, declared, column if column.never_null else None)
    for row in signature.optional_rows([column.name for column in columns]):
        # A row is None where all of its columns are null.
        proofs = (column for column in columns if column.name.startswith(f"{row.name}.") and column.never_null)
        yield _Filled(signature, row, next(proofs, None))


def _needless(signature: Signature, declared: Declared, column: ResultColumn) -> Problem:
    annotation = declared.text.removesuffix(" | None").replace(" | None]", "]").removeprefix("-> ")
    subject = declared.text.partition(":")[0] if declared.name else f"what {signature.query.function} returns"
    return Problem(
        signature.name,
        declared.place,
        f"{subject} may be None, and no statement that fills it ever yields null",
        f"declare it `{annotation}`",
        python=f"{declared.place}: {declared.text}",
        postgresql=f"{column.name} is {column.type.name}, never null",
        severity="warning",
    )
