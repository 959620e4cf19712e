"""What values become before the driver gets them: a dataclass a composite, a member of an Enum its value."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, cast, get_type_hints

from app.db.annotations import element, members
from app.db.shapes import Shape

Conversion = Callable[[Any], Any]


def conversions(annotations: Iterable[Any], shapes: Sequence[Shape]) -> list[tuple[int, Conversion]]:
    """For each parameter whose values the driver does not take as they are: its index, and what to make of them."""
    found = [(index, conversion(each, shapes[index])) for index, each in enumerate(annotations)]
    return [(index, convert) for index, convert in found if convert]


def conversion(annotation: Any, shape: Shape) -> Conversion | None:
    """What to make of a value that is annotated so; None where the driver takes every one as it is."""
    found = [each for member in members(annotation) if (each := _member_conversion(member, shape))]
    if not found:
        return None

    def convert(value: Any) -> Any:
        for accepts, made in found:
            if accepts(value):
                return made(value)
        return value

    return convert


def converted(arguments: tuple[Any, ...], found: Iterable[tuple[int, Conversion]]) -> tuple[Any, ...]:
    """The arguments with those values made of them."""
    values = list(arguments)
    for index, convert in found:
        values[index] = convert(values[index])
    return tuple(values)


def composite_fields(annotation: Any) -> dict[str, Any]:
    """The fields of the dataclass among the members of an annotation, and their types; none where there is none."""
    found = [member for member in members(annotation) if _is_dataclass(member)]
    if len(found) != 1:
        return {}
    hints = get_type_hints(found[0])
    return {field.name: hints[field.name] for field in dataclasses.fields(found[0])}


def _member_conversion(member: Any, shape: Shape) -> tuple[Callable[[Any], bool], Conversion] | None:
    if shape.kind == "composite" and _is_dataclass(member):
        return lambda value: isinstance(value, member), _from_fields(member, shape)
    if _is_plain_enum(member):
        return lambda value: isinstance(value, member), lambda value: value.value
    of = element(member)
    if of is not None and shape.kind == "array" and shape.of is not None:
        return _array_conversion(of, shape)
    return None


def _array_conversion(of: Any, shape: Shape) -> tuple[Callable[[Any], bool], Conversion] | None:
    # An array may have several dimensions, whatever its type says.
    is_nested = any(element(member) is not None for member in members(of)) and shape.of and shape.of.kind == "scalar"
    convert = conversion(of, shape if is_nested else cast("Shape", shape.of))
    if convert is None:
        return None
    return _is_array, lambda value: [convert(item) for item in value]


def _from_fields(kind: Any, shape: Shape) -> Conversion:
    """A dataclass as a tuple in the order of the composite's attributes."""
    hints = composite_fields(kind)
    parts = [(name, conversion(hints.get(name, Any), of)) for name, of in shape.attributes]

    def convert(value: Any) -> tuple[Any, ...]:
        found = ((getattr(value, name), inner) for name, inner in parts)
        return tuple(inner(each) if inner else each for each, inner in found)

    return convert


def _is_array(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, (str, bytes, Mapping))


def _is_dataclass(member: Any) -> bool:
    return isinstance(member, type) and dataclasses.is_dataclass(member)


def _is_plain_enum(member: Any) -> bool:
    # The driver takes a StrEnum for text and an IntEnum for a number as they are.
    return isinstance(member, type) and issubclass(member, Enum) and not issubclass(member, (str, int, float))
