"""Compare arguments with placeholders: their types, and whether they may be None."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from app.check.postgres.describe import Description, StatementParameter
from app.check.python.bound_functions import BoundFunction
from app.check.python.declared import Declared
from app.check.python.text_places import COMPARISONS
from app.check.python.type_text import python_type
from app.check.rules.exemptions import Exemptions
from app.check.rules.placeholders import list_mend, order_mend
from app.check.rules.problems import Problem
from app.check.rules.type_fit import misfit
from app.db.binding.annotations import element
from app.db.binding.row_fields import split_optional


class _Pair(NamedTuple):
    signature: BoundFunction
    number: int
    argument: Declared
    parameter: StatementParameter


def check_parameters(signature: BoundFunction, description: Description, allowed: Exemptions) -> Iterator[Problem]:
    """Yield the problems of a bound function's arguments."""
    for number, argument in enumerate(signature.arguments, 1):
        pair = _Pair(signature, number, argument, description.parameters[number - 1])
        yield from _type(pair)
        if pair.parameter.sorts:
            yield _sorting(pair)
        if argument.optional and pair.parameter.fills:
            yield _filling(pair)
        elif argument.optional and pair.parameter.compared and not allowed.allow("null", argument.name):
            yield _comparison(pair)


def _type(pair: _Pair) -> Iterator[Problem]:
    if pair.parameter.type.name == "record":
        yield _record(pair)
        return
    name, reason = pair.argument.name, misfit(pair.parameter.type, pair.argument.annotation, writes=True)
    if reason:
        optional = " | None" if pair.argument.optional else ""
        instead = "" if pair.signature.query.copy else ", or cast the placeholder"
        mend = f"declare it `{name}: {python_type(pair.parameter.type)}{optional}`{instead}"
        if _is_list_of_them(pair):
            mend = list_mend(name)
        yield _problem(pair, f"the argument {name} does not fit :{name}: {reason}", mend)


def _record(pair: _Pair) -> Problem:
    name = pair.argument.name
    return _problem(
        pair,
        f":{name} is a record without a type, which PostgreSQL takes from nobody",
        f"cast it to a composite, `:{name}::type`",
    )


def _sorting(pair: _Pair) -> Problem:
    name = pair.argument.name
    return _problem(
        pair,
        f"the rows are ordered by :{name}, which is one value for all of them and orders nothing",
        order_mend(name),
        beside=("by",),
    )


def _filling(pair: _Pair) -> Problem:
    name = pair.argument.name
    instead = "" if pair.signature.query.copy else f", or write coalesce(:{name}, …)"
    return _problem(
        pair,
        f"{name} may be None, and goes into {', '.join(pair.parameter.fills)}, which cannot be null",
        f"declare it `{pair.argument.text.removesuffix(' | None')}`{instead}",
    )


def _comparison(pair: _Pair) -> Problem:
    name = pair.argument.name
    return _problem(
        pair,
        f"{name} may be None, and a comparison with null is never true",
        f"declare it `{pair.argument.text.removesuffix(' | None')}`, compare by `is not distinct from`, write"
        f" `:{name} is null or …`, or say `-- check: null :{name}, because …`",
        beside=COMPARISONS,
    )


def _is_list_of_them(pair: _Pair) -> bool:
    """Return whether the argument is a list of what the parameter is one of: `in (:ids)`."""
    of = element(pair.argument.annotation)
    return of is not None and misfit(pair.parameter.type, split_optional(of)[0], writes=True) is None


def _problem(pair: _Pair, message: str, mend: str, *, beside: Collection[str] = ()) -> Problem:
    signature, number, argument, parameter = pair
    fills = f", a value of {', '.join(parameter.fills)}" if parameter.fills else ""
    return Problem(
        signature.name,
        signature.locate_parameter(number, beside=beside),
        message,
        mend,
        python=f"{argument.place}: {argument.text}",
        postgresql=f":{argument.name} is {parameter.type.name}{fills}",
    )
