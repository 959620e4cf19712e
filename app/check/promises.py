"""What a signature promises of all rows: that there is one at most, and which fields may be None."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from app.check.columns import Filling, fillings
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
    """The fields that may be None although every statement that fills them proves the column never null."""
    filled: dict[str, list[tuple[Signature, Filling]]] = defaultdict(list)
    for signature, description in pairs:
        anywhere = [signature.place] * len(description.columns)
        for filling in fillings(signature, description.columns, anywhere):
            filled[str(filling.declared.place)].append((signature, filling))
    for ways in filled.values():
        signature, (declared, column, _) = ways[0]
        is_either = signature.is_scalar and signature.query.cardinality == "optional"
        if declared.optional and not is_either and all(filling.column.never_null for _, filling in ways):
            yield _needless(signature, declared, column)


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
