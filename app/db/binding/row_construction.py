"""Writes the source of row constructors: positional, nested, without the slow `__init__` of frozen dataclasses."""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, cast, get_args, get_origin

from asyncpg import Record

from app.db.binding.annotations import element
from app.db.binding.infinity import FIRST, LAST, with_zone
from app.db.binding.namespace import Namespace
from app.db.binding.row_fields import fields_of, is_composite, nested_row, split_optional
from app.db.errors import BindingError


class Construction:
    """Writes expressions over a record `r`. `names` has the globals that they refer to."""

    def __init__(self, moments: Sequence[Callable[[Any], Any] | None] = ()) -> None:
        self.names = Namespace()
        self._moments = moments

    def column(self, index: int) -> str:
        """Return an expression for a column: the driver's value, but infinite timestamptz values get a time zone."""
        convert = self._moments[index] if self._moments else None
        if convert is None:
            return f"r[{index}]"
        if convert is not with_zone:
            return f"{self._name(convert)}(r[{index}])"
        # Two identity comparisons cost next to nothing.
        last, first = self.names.give(LAST, "last"), self.names.give(FIRST, "first")
        return f"(m if (m := r[{index}]) is not {last} and m is not {first} else {self._name(convert)}(m))"

    def row(self, row_type: Any, columns: Sequence[str], prefix: str = "") -> str:
        """Return an expression for a row of this dataclass, from the columns whose names begin with `prefix`."""
        values = [self._field(annotation, columns, prefix + name) for name, annotation in fields_of(row_type)]
        return self._call(row_type, values)

    def value(self, annotation: Any, source: str) -> str:
        """Return an expression for one value, converted to the declared enum, composite or collection."""
        convert = conversion(annotation)
        return source if convert is None else f"{self._name(convert)}({source})"

    def _field(self, annotation: Any, columns: Sequence[str], column: str) -> str:
        nested = nested_row(annotation)
        if nested is None or is_composite(column, columns):
            return self.value(annotation, self.column(columns.index(column)))
        row = self.row(nested, columns, f"{column}.")
        if not split_optional(annotation)[1]:
            return row
        # An outer join without a match leaves every column of the nested row null: then the field is None.
        own = [index for index, name in enumerate(columns) if name.startswith(f"{column}.")]
        return f"(None if {' and '.join(f'r[{index}] is None' for index in own)} else {row})"

    def _call(self, row_type: Any, values: list[str]) -> str:
        return f"{self._name(constructor(row_type))}({', '.join(values)})"

    def _name(self, value: Any) -> str:
        return self.names.add(value, "made")


def constructor(row_type: Any) -> Callable[..., Any]:
    """Return a function from values, in the order of `fields_of`, to a row: up to five times as fast as the class.

    The `__init__` of a frozen dataclass sets each field through object.__setattr__. In an object of a class with the
    same slots that is not frozen the interpreter stores them directly; then `__class__` is set to the dataclass.
    """
    names = [name for name, _ in fields_of(row_type)]
    if not _has_plain_init(row_type):
        return _by_init(row_type)
    own = Namespace()
    draft, cls = own.give(_draft(row_type), "draft"), own.give(row_type, "row")
    # Fields are only attributes here, so their names cannot hide a variable.
    values = [f"v{number}" for number in range(len(names))]
    sets = "".join(f" o.{name} = {value};" for name, value in zip(names, values, strict=True))
    post_init = "; o.__post_init__()" if hasattr(row_type, "__post_init__") else ""
    source = f"def make({', '.join(values)}):\n    o = {draft}();{sets} o.__class__ = {cls}{post_init}\n    return o"
    return own.compiled(source, "make")


def _draft(row_type: Any) -> type:
    space: dict[str, Any] = {
        "__slots__": vars(row_type)["__slots__"],
        "__setattr__": object.__setattr__,
        "__init__": object.__init__,
    }
    return type(row_type.__name__, row_type.__bases__, space)


def _has_plain_init(row_type: Any) -> bool:
    """Return whether the constructor is generated and does nothing but set one field for each argument."""
    init: Any = cast("dict[str, Any]", vars(row_type)).get("__init__")
    return (
        type(row_type) is type
        and row_type.__new__ is object.__new__
        # Code written by hand has the name of its file.
        and init is not None
        and init.__code__.co_filename == "<string>"
        and all(field.init for field in dataclasses.fields(row_type))
        # An InitVar is passed to __post_init__ and is not a field.
        and list(inspect.signature(init).parameters)[1:] == [name for name, _ in fields_of(row_type)]
    )


def _by_init(row_type: Any) -> Callable[..., Any]:
    keyword_only = {field.name for field in dataclasses.fields(row_type) if field.kw_only}
    if not keyword_only:
        return row_type
    names = [name for name, _ in fields_of(row_type)]
    positional = len(names) - len(keyword_only)
    return lambda *values: row_type(
        *values[:positional], **dict(zip(names[positional:], values[positional:], strict=True))
    )


def conversion(annotation: Any) -> Callable[[Any], Any] | None:
    """Return the conversion from the driver's value to the annotated type; None if there is nothing to convert."""
    inner, _ = split_optional(annotation)
    convert = _conversion(inner)
    if convert is None:
        return None
    return lambda value: None if value is None else convert(value)


def _conversion(annotation: Any) -> Callable[[Any], Any] | None:
    inner: Any = annotation
    if inspect.isclass(inner) and issubclass(inner, Enum):
        return inner
    if dataclasses.is_dataclass(inner):
        return _composite(inner)
    of = element(inner)
    if of is None:
        return None
    items = conversion(of)
    container: Any = get_origin(inner) or inner
    collect: Any = container if container in (tuple, set, frozenset) else list
    if collect is list and items is None:
        return None
    if collect is tuple and get_args(inner) and Ellipsis not in get_args(inner):
        # A tuple with a type for each place holds a composite, as the driver returns it.
        return None
    return lambda values: cast("Any", collect)(values if items is None else map(items, values))


def _composite(row_type: Any) -> Callable[[Any], Any]:
    fields = fields_of(row_type)
    make = constructor(row_type)
    conversions = [(name, conversion(annotation) or _same) for name, annotation in fields]

    def convert(value: Any) -> Any:
        if not isinstance(value, Record) or set(value.keys()) != {name for name, _ in fields}:
            raise BindingError(f"{row_type.__name__} does not fit the value: it is made of {_attributes(value)}")
        return make(*[convert(value[name]) for name, convert in conversions])

    return convert


def _attributes(value: Any) -> str:
    return f"({', '.join(value.keys())})" if isinstance(value, Record) else f"{type(value).__name__}, not a composite"


def _same(value: Any) -> Any:
    return value
