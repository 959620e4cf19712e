"""Annotations as they are written in Python: `int`, `list[str]`, `asyncpg.Range[date]`."""

from collections.abc import Callable

from app.check.postgres.server_types import JSON, ServerType
from app.check.python.naming import class_name
from app.db.binding.pg_types import SCALARS_BY_SQL_NAME

WRITTEN_NAMES = frozenset(
    ("Decimal", "UUID", "Any", "Executor", "StrEnum", "Iterable", "AsyncIterable", "AsyncIterator")
)
"""The names that the source of a bound function may have to import, beside those that no class is called."""


def python_type(type_: ServerType) -> str:
    """Return the annotation that fits the type best."""
    write = _WRITTEN.get(type_.kind)
    return write(type_) if write else _scalar_text(type_.name)


def enum_class_name(type_: ServerType) -> str:
    """Return the name of the StrEnum for an enum."""
    name = class_name(type_.name)
    return f"{name}Enum" if name in WRITTEN_NAMES else name


def _list_text(type_: ServerType) -> str:
    return f"list[{_base_text(type_)}]"


def _base_text(type_: ServerType) -> str:
    return python_type(type_.base) if type_.base else "Any"


def _tuple_text(type_: ServerType) -> str:
    return f"tuple[{', '.join(f'{python_type(field)} | None' for _, field in type_.fields) or '()'}]"


def _range_text(type_: ServerType) -> str:
    bounds = f"asyncpg.Range[{_base_text(type_)}]"
    return bounds if type_.kind == "range" else f"list[{bounds}]"


_WRITTEN: dict[str, Callable[[ServerType], str]] = {
    "domain": _base_text,
    "array": _list_text,
    "enum": enum_class_name,
    "range": _range_text,
    "multirange": _range_text,
    "composite": _tuple_text,
}


def _scalar_text(name: str) -> str:
    if name in JSON:
        return "Any"
    if name == "record":
        return "asyncpg.Record"
    types = SCALARS_BY_SQL_NAME[name].reads if name in SCALARS_BY_SQL_NAME else (str,)
    return " | ".join("None" if type_ is type(None) else _dotted(type_) for type_ in types)


def _dotted(type_: type) -> str:
    module = type_.__module__.partition(".")[0]
    return f"{module}.{type_.__name__}" if module in {"asyncpg", "ipaddress"} else type_.__name__
