"""Reads annotations: their members, and which values they allow."""

import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from types import UnionType
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, cast, get_args, get_origin

Reason = Callable[[object], str | None]
"""Returns the reason a value is refused, never quoting it; None if it is accepted."""

ARRAYS = (list, tuple, set, frozenset, Sequence, Collection, Iterable, AbstractSet)
"""The types that an array can be declared as. A string is not one of them, although it is a sequence."""


def members(annotation: Any) -> Iterator[Any]:
    """Return the alternatives of a union, with type aliases resolved. Any other annotation is its only alternative."""
    origin = get_origin(annotation)
    if origin in (UnionType, Union):
        for member in get_args(annotation):
            yield from members(member)
    elif origin is Annotated:
        yield from members(get_args(annotation)[0])
    elif isinstance(annotation, NewType):
        yield from members(annotation.__supertype__)
    elif isinstance(annotation, TypeVar):
        yield from members(annotation.__bound__ or object)
    elif annotation is None:
        yield type(None)
    else:
        yield annotation


def element(annotation: Any) -> Any:
    """Return the type of an array's items, Any if it is not declared; None if the annotation is not an array."""
    origin = get_origin(annotation) or annotation
    if origin not in ARRAYS:
        return None
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    return Union[tuple(arguments)] if arguments else Any  # noqa: UP007 - built at run time


def refusal(annotation: Any) -> Reason:
    """Return a check that refuses what a type checker refuses, and also a bool for a number."""
    alternatives = [_member_refusal(member) for member in members(annotation)]
    if len(alternatives) == 1:
        return alternatives[0]

    def refuse(value: object) -> str | None:
        reasons = [alternative(value) for alternative in alternatives]
        if None in reasons:
            return None
        # For `list[int] | None` the problem with `[1.5]` is the item, not the type.
        inner = next((reason for reason in reasons if reason and reason.startswith("item ")), None)
        return inner or _not(type_name(annotation), value)

    return refuse


def _member_refusal(member: Any) -> Reason:
    if get_origin(member) is Literal:
        return _literal_refusal(get_args(member))
    of = element(member)
    if of is not None:
        return _array_refusal(member, refusal(of))
    cls: Any = dict if typing.is_typeddict(member) else get_origin(member) or member
    if cls in (object, Any) or not isinstance(cls, type) or getattr(cls, "_is_protocol", False):
        return lambda value: None
    allowed: Any = (float, int) if cls is float else Mapping if cls is dict else cls
    excluded: Any = bool if cls in (int, float) else datetime if cls is date else ()
    name = type_name(member)
    return lambda value: None if isinstance(value, allowed) and not isinstance(value, excluded) else _not(name, value)


def _literal_refusal(allowed: tuple[Any, ...]) -> Reason:
    typed: set[tuple[Any, Any]] = {(type(each), each) for each in allowed}
    problem = f"must be one of {', '.join(map(repr, allowed))}"
    return lambda value: None if any(type(value) is kind and value == each for kind, each in typed) else problem


def _array_refusal(annotation: Any, refuse_item: Reason) -> Reason:
    container: Any = get_origin(annotation) or annotation

    def refuse(value: Any) -> str | None:
        if not isinstance(value, container) or isinstance(value, (str, bytes, Mapping)):
            return _not(type_name(annotation), cast("Any", value))
        for number, item in enumerate(cast("Iterable[object]", value), 1):
            if problem := refuse_item(item):
                return f"item {number} {problem}"
        return None

    return refuse


def _not(name: str, value: object) -> str:
    return f"must be {name}, not {'None' if value is None else type(value).__name__}"


def type_name(annotation: Any) -> str:
    """Return the annotation as it is written in source: `int | None`, `list[str]`."""
    names = [_named_member(member) for member in members(annotation)]
    return " | ".join(dict.fromkeys(names))


def _named_member(member: Any) -> str:
    if member is type(None):
        return "None"
    if get_args(member) and get_origin(member) is not Literal:
        inside = ", ".join("..." if each is Ellipsis else type_name(each) for each in get_args(member))
        return f"{get_origin(member).__name__}[{inside}]"
    return member.__name__ if isinstance(member, type) else str(member)
