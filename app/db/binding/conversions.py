"""Converts arguments for the driver: a dataclass to a composite, a member of an Enum to its value."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, cast

from app.db.binding.annotations import element, members
from app.db.binding.pg_types import TypeInfo
from app.db.binding.row_fields import composite_fields, is_dataclass_type

Conversion = Callable[[Any], Any]


def conversions(annotations: Iterable[Any], infos: Sequence[TypeInfo]) -> list[tuple[int, Conversion]]:
    """Return index and conversion of each parameter whose values the driver does not accept as they are."""
    found = [(index, conversion(each, infos[index])) for index, each in enumerate(annotations)]
    return [(index, convert) for index, convert in found if convert]


def conversion(annotation: Any, info: TypeInfo) -> Conversion | None:
    """Return the conversion for values with this annotation; None if the driver accepts all of them."""
    found = [each for member in members(annotation) if (each := _member_conversion(member, info))]
    if not found:
        return None

    def convert(value: Any) -> Any:
        for accepts, made in found:
            if accepts(value):
                return made(value)
        return value

    return convert


def converted(arguments: tuple[Any, ...], found: Iterable[tuple[int, Conversion]]) -> tuple[Any, ...]:
    """Return the arguments with these conversions applied."""
    values = list(arguments)
    for index, convert in found:
        values[index] = convert(values[index])
    return tuple(values)


def _member_conversion(member: Any, info: TypeInfo) -> tuple[Callable[[Any], bool], Conversion] | None:
    if info.kind == "composite" and is_dataclass_type(member):
        return lambda value: isinstance(value, member), _from_fields(member, info)
    if _is_plain_enum(member):
        return lambda value: isinstance(value, member), lambda value: value.value
    of = element(member)
    if of is not None and info.kind == "array" and info.of is not None:
        return _array_conversion(of, info)
    return None


def _array_conversion(of: Any, info: TypeInfo) -> tuple[Callable[[Any], bool], Conversion] | None:
    # The type of an array does not say how many dimensions it has.
    is_nested = any(element(member) is not None for member in members(of)) and info.of and info.of.kind == "scalar"
    convert = conversion(of, info if is_nested else cast("TypeInfo", info.of))
    if convert is None:
        return None
    return _is_array, lambda value: [convert(item) for item in value]


def _from_fields(kind: Any, info: TypeInfo) -> Conversion:
    """Return a conversion from a dataclass to a tuple in the order of the composite's attributes."""
    hints = composite_fields(kind)
    parts = [(name, conversion(hints.get(name, Any), of)) for name, of in info.attributes]

    def convert(value: Any) -> tuple[Any, ...]:
        found = ((getattr(value, name), inner) for name, inner in parts)
        return tuple(inner(each) if inner else each for each, inner in found)

    return convert


def _is_array(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, (str, bytes, Mapping))


def _is_plain_enum(member: Any) -> bool:
    # The driver accepts a StrEnum for text and an IntEnum for a number.
    return isinstance(member, type) and issubclass(member, Enum) and not issubclass(member, (str, int, float))
