"""Writes the Python of a statement: the signature and the row type that fit it, to be pasted."""

import dataclasses
from collections.abc import Iterator, Sequence

from app.check.describe import Description, Parameter, ResultColumn, are_null_together
from app.check.signatures import checked_text
from app.check.types import PgType, enum_class_name, is_array, python_type
from app.db.statement import Statement

_MODULES = {
    "collections.abc": ("AsyncIterable", "AsyncIterator", "Iterable"),
    "contextlib": ("AbstractAsyncContextManager",),
    "datetime": ("date", "datetime", "time", "timedelta"),
    "decimal": ("Decimal",),
    "enum": ("StrEnum",),
    "typing": ("Any",),
    "uuid": ("UUID",),
}
_HEAD = "@queries.bind\n"
_QUALIFIED = ("asyncpg", "ipaddress")


def python_source(statement: Statement, description: Description) -> str:
    """A module's worth of source: imports, enums, row types and the bound function."""
    row, columns = _row_name(statement.name), _row_columns(statement, description)
    function = _copying(statement, row) if statement.keyword == "copy" else _function(statement, description, row)
    blocks = [*_enums(description), *(_dataclasses(row, columns) if columns else ()), function]
    imports = _imports("\n".join(blocks), has_rows=bool(columns))
    return "\n\n\n".join([imports, *blocks]) + "\n"


def _row_columns(statement: Statement, description: Description) -> tuple[ResultColumn, ...]:
    """The columns of the row type; none where a row is one value or nothing."""
    if statement.keyword == "copy":
        pairs = zip(checked_text(statement)[1], description.parameters, strict=True)
        return tuple(ResultColumn(name, parameter.type, bool(parameter.fills)) for name, parameter in pairs)
    return description.columns if len(description.columns) > 1 else ()


def _copying(statement: Statement, row: str) -> str:
    rows = f"Iterable[{row}] | AsyncIterable[{row}]"
    return f"{_HEAD}async def {statement.name}(db: Executor, *, rows: {rows}) -> int:\n{_body(statement)}"


def _body(statement: Statement) -> str:
    purpose = " ".join(statement.purpose.split()) or "…"
    return f'    """{purpose}"""\n    ...'


def _function(statement: Statement, description: Description, row: str) -> str:
    pairs = zip(statement.parameters, description.parameters, strict=True)
    arguments = "".join(f", {name}: {_annotation(parameter)}" for name, parameter in pairs)
    star = ", *" if arguments else ""
    define, returns = "async def", _returns(statement.name, description, row)
    if statement.name.startswith("stream_"):
        define, returns = "def", f"AbstractAsyncContextManager[AsyncIterator[{_row_type(description, row)}]]"
    return f"{_HEAD}{define} {statement.name}(db: Executor{star}{arguments}) -> {returns}:\n{_body(statement)}"


def _annotation(parameter: Parameter) -> str:
    return python_type(parameter.type) + (" | None" if parameter.tested and not parameter.fills else "")


def _returns(name: str, description: Description, row: str) -> str:
    if not description.columns:
        return "None"
    one = _row_type(description, row)
    # A list is always one of rows.
    if not description.at_most_one or one.startswith("list["):
        return f"list[{one}]"
    return f"{one} | None" if name.startswith("find_") and not one.endswith(" | None") else one


def _row_type(description: Description, row: str) -> str:
    return _column_type(description.columns[0]) if len(description.columns) == 1 else row


def _column_type(column: ResultColumn) -> str:
    type_ = python_type(column.type)
    if is_array(column.type) and not column.holds_no_null:
        type_ = f"{type_[:-1]} | None]"
    return type_ + ("" if column.never_null else " | None")


def _dataclasses(name: str, columns: tuple[ResultColumn, ...]) -> Iterator[str]:
    """The row type, after those of its nested fields: `"author.username"` makes a class Author."""
    nested: dict[str, list[ResultColumn]] = {}
    lines: list[str] = []
    for column in columns:
        outer, dot, inner = column.name.partition(".")
        if not dot:
            lines.append(f"    {outer}: {_column_type(column)}")
            continue
        if outer not in nested:
            lines.append(f"    {outer}: {_nested_type(outer, columns)}")
        nested.setdefault(outer, []).append(dataclasses.replace(column, name=inner))
    for outer, inner_columns in nested.items():
        yield from _dataclasses(_class_name(outer), tuple(_of_row_that_is_there(inner_columns)))
    yield "\n".join(["@dataclass(frozen=True, slots=True)", f"class {name}:", '    """…"""', "", *lines])


def _nested_type(name: str, columns: Sequence[ResultColumn]) -> str:
    inner = [column for column in columns if column.name.startswith(f"{name}.")]
    return _class_name(name) + (" | None" if are_null_together(inner) else "")


def _of_row_that_is_there(columns: Sequence[ResultColumn]) -> Sequence[ResultColumn]:
    """The columns as the fields of a row that is None where they are null together."""
    if not are_null_together(columns):
        return columns
    return [dataclasses.replace(column, never_null=bool(column.absence and column.absence.only)) for column in columns]


def _enums(description: Description) -> Iterator[str]:
    types = [item.type for item in (*description.parameters, *description.columns)]
    enums = {inner.name: inner for type_ in types if (inner := _innermost(type_)).kind == "enum"}
    for enum in enums.values():
        members = [f"    {_member(label)} = {label!r}" for label in enum.labels]
        yield "\n".join([f"class {enum_class_name(enum)}(StrEnum):", '    """…"""', "", *members]).replace("'", '"')


def _innermost(type_: PgType) -> PgType:
    while type_.kind in {"array", "domain"} and type_.base:
        type_ = type_.base
    return type_


def _member(label: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in label).upper()


def _imports(source: str, *, has_rows: bool) -> str:
    words = set("".join(character if character.isalnum() or character == "_" else " " for character in source).split())
    lines = [f"import {module}" for module in _QUALIFIED if f"{module}." in source]
    if has_rows:
        lines.append("from dataclasses import dataclass")
    for module, names in _MODULES.items():
        if used := [name for name in names if name in words]:
            lines.append(f"from {module} import {', '.join(used)}")
    return "\n".join([*lines, "from app.db import Executor"])


def _row_name(name: str) -> str:
    """`get_article` and `list_articles_by_tag` yield an Article."""
    _, _, noun = name.partition("_")
    noun = (noun or name).partition("_by_")[0]
    return _class_name(noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun)


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
