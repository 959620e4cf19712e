"""Checks of arguments, compiled into each bound function: values that the driver would silently convert are refused."""

from collections.abc import Mapping
from typing import Any, get_origin

from app.db.binding.annotations import element, members, refusal
from app.db.binding.namespace import Namespace
from app.db.errors import BadArgument

# The driver stores 1.9, Decimal("2.9") and True in an integer column as 1, 2 and 1, a datetime in a date column as its
# day. A check of the exact type accepts nearly every value in 30 nanoseconds; the full check runs only for the rest
# (a subclass, an enum, a mistake).


def argument_tests(function: str, hints: Mapping[str, Any], names: Namespace) -> list[str]:
    """Return a line of source for each argument that needs a check. Its globals are added to `names`.

    The line raises BadArgument when the annotation does not allow the value.
    """
    lines: list[str] = []
    for parameter, annotation in hints.items():
        doubt = doubtful(annotation, parameter, names)
        if doubt:
            refuse = names.add(_Refusal(function, parameter, annotation), "refuse")
            lines.append(f"if {doubt}: {refuse}({parameter})")
    return lines


def doubtful(annotation: Any, variable: str, names: Namespace) -> str:
    """Return source of a condition that is false if the exact type proves the value valid; "" if every value is."""
    kinds = list(members(annotation))
    if Any in kinds or object in kinds:
        return ""
    guard = f"{variable} is not None and " if type(None) in kinds else ""
    kinds = [kind for kind in kinds if kind is not type(None)]
    exact = _exact(kinds)
    if exact:
        return guard + _type_test(exact, variable, names)
    items = _exact(list(members(element(kinds[0])))) if len(kinds) == 1 and get_origin(kinds[0]) is list else None
    if items:
        kind, each = names.give(type, "type"), names.give(map, "map")
        found = f"{names.add(items, 'kinds')}.issuperset({each}({kind}, {variable}))"
        return f"{guard}({kind}({variable}) is not {names.give(list, 'list')} or not {found})"
    return f"{guard}True"


def _exact(kinds: list[Any]) -> frozenset[type] | None:
    """Return the types whose values are always valid; None if the type alone does not decide."""
    if not kinds or not all(isinstance(kind, type) for kind in kinds) or Any in kinds:
        return None
    return frozenset([*kinds, int] if float in kinds else kinds)


def _type_test(exact: frozenset[type], variable: str, names: Namespace) -> str:
    kind = f"{names.give(type, 'type')}({variable})"
    if len(exact) > 1:
        return f"{kind} not in {names.add(exact, 'kinds')}"
    return f"{kind} is not {names.add(next(iter(exact)), 'kind')}"


class _Refusal:
    """The full check of an argument. Raises BadArgument when the annotation does not allow the value."""

    def __init__(self, function: str, parameter: str, annotation: Any) -> None:
        self._function = function
        self._parameter = parameter
        self._refuse = refusal(annotation)

    def __call__(self, value: object) -> None:
        problem = self._refuse(value)
        if problem:
            raise BadArgument(self._function, self._parameter, problem)
