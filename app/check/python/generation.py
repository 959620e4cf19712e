"""Write the Python of statements: the signatures and row types that fit them, to be pasted."""

import dataclasses
from collections.abc import Iterator, Sequence

from app.check.postgres.describe import Description, ResultColumn, StatementParameter, are_null_together
from app.check.postgres.server_types import is_array, is_json, parts_of
from app.check.python.bound_functions import checked_text
from app.check.python.naming import class_name, docstring, is_field_name, literal, member_names, unused_name
from app.check.python.type_text import WRITTEN_NAMES, enum_class_name, python_type
from app.db.sql.statement import Statement

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


def python_source(statement: Statement, description: Description, existing: type | None = None) -> str:
    """Return a module's worth of source: imports, enums, row types and the bound function.

    An `existing` row type is imported instead of writing one. A column that no field can be named after is a comment in
    its row type, which says what to do.
    """
    if existing is not None and statement.keyword != "copy":
        function = _function(statement, description, existing.__name__)
        imports = f"{_imports(function, has_rows=False)}\nfrom {existing.__module__} import {existing.__name__}"
        return f"{imports}\n\n\n{function}\n"
    enums, columns = _enums(description), _row_columns(statement, description)
    rows = _RowTypes({*WRITTEN_NAMES, *enums})
    row = rows.write(_row_name(statement.name), columns) if columns else ""
    function = _copying(statement, row) if statement.keyword == "copy" else _function(statement, description, row)
    blocks = [*enums.values(), *rows.blocks, function]
    imports = _imports("\n".join(blocks), has_rows=bool(columns))
    return "\n\n\n".join([imports, *blocks]) + "\n"


def _row_columns(statement: Statement, description: Description) -> tuple[ResultColumn, ...]:
    """Return the columns of the row type; none if a row is one value or nothing."""
    if statement.keyword == "copy":
        pairs = zip(checked_text(statement)[1], description.parameters, strict=True)
        return tuple(ResultColumn(name, parameter.type, bool(parameter.fills)) for name, parameter in pairs)
    return description.columns if len(description.columns) > 1 else ()


def _copying(statement: Statement, row: str) -> str:
    rows = f"Iterable[{row}] | AsyncIterable[{row}]"
    return f"{_HEAD}async def {statement.name}(db: Executor, *, rows: {rows}) -> int:\n{_body(statement)}"


def _body(statement: Statement) -> str:
    purpose = " ".join(statement.purpose.split()) or "…"
    return f"    {docstring(purpose)}\n    ..."


def _function(statement: Statement, description: Description, row: str) -> str:
    pairs = zip(statement.parameters, description.parameters, strict=True)
    arguments = "".join(f", {name}: {_annotation(parameter)}" for name, parameter in pairs)
    star = ", *" if arguments else ""
    executor = unused_name("db", statement.parameters)
    define, returns = "async def", _returns(statement.name, description, row)
    if statement.name.startswith("stream_"):
        define, returns = "def", f"AbstractAsyncContextManager[AsyncIterator[{_row_type(description, row)}]]"
    return f"{_HEAD}{define} {statement.name}({executor}: Executor{star}{arguments}) -> {returns}:\n{_body(statement)}"


def given_parameters(description: Description) -> frozenset[int]:
    """Return the numbers of the parameters whose annotation is written without None."""
    parameters = enumerate(description.parameters, 1)
    return frozenset(
        number for number, parameter in parameters if not (_is_optional(parameter) or is_json(parameter.type))
    )


def _annotation(parameter: StatementParameter) -> str:
    return python_type(parameter.type) + (" | None" if _is_optional(parameter) else "")


def _is_optional(parameter: StatementParameter) -> bool:
    return parameter.tested and not parameter.fills


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


class _RowTypes:
    """Writes the classes of rows, those of nested fields before the one that holds them."""

    def __init__(self, used: set[str]) -> None:
        self.blocks: list[str] = []
        self._used = used

    def write(self, wanted: str, columns: Sequence[ResultColumn], prefix: str = "") -> str:
        """Write the class of these columns, whose names begin with `prefix`; the name that it got."""
        name = unused_name(wanted, self._used)
        self._used.add(name)
        groups: dict[str, list[ResultColumn]] = {}
        for column in columns:
            groups.setdefault(column.name.removeprefix(prefix).partition(".")[0], []).append(column)
        lines = [line for field, group in groups.items() for line in self._field(field, group, prefix)]
        self.blocks.append(
            "\n".join(["@dataclass(frozen=True, slots=True)", f"class {name}:", '    """…"""', "", *lines])
        )
        return name

    def _field(self, field: str, columns: Sequence[ResultColumn], prefix: str) -> Iterator[str]:
        nested = [column for column in columns if column.name.startswith(f"{prefix}{field}.")]
        if not is_field_name(field):
            for column in columns:
                yield _unnamed(column, "cannot be the name of a field")
        elif nested:
            optional = " | None" if are_null_together(nested) else ""
            row = self.write(class_name(field), _of_row_that_is_there(nested), f"{prefix}{field}.")
            yield f"    {field}: {row}{optional}"
        else:
            yield f"    {field}: {_column_type(columns[0])}"
        for column in columns[0 if nested else 1 :]:
            if is_field_name(field) and column not in nested:
                yield _unnamed(column, "names what another column fills")


def _unnamed(column: ResultColumn, reason: str) -> str:
    return f"    # {literal(column.name)} {reason}: name the column otherwise, `… as total`"


def _of_row_that_is_there(columns: Sequence[ResultColumn]) -> Sequence[ResultColumn]:
    """Return the columns as they are when the row exists."""
    if not are_null_together(columns):
        return columns
    return [dataclasses.replace(column, never_null=bool(column.absence and column.absence.only)) for column in columns]


def _enums(description: Description) -> dict[str, str]:
    """Return the source of each enum by the name of its class."""
    types = (part for item in (*description.parameters, *description.columns) for part in parts_of(item.type))
    enums = {enum_class_name(type_): type_ for type_ in types if type_.kind == "enum"}
    return {name: _enum(name, type_.labels) for name, type_ in enums.items()}


def _enum(name: str, labels: Sequence[str]) -> str:
    members = [f"    {member} = {literal(label)}" for label, member in member_names(labels).items()]
    return "\n".join([f"class {name}(StrEnum):", '    """…"""', "", *members])


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
    """Return the name of a statement's row: Article for `get_article` and `list_articles_by_tag`."""
    _, _, noun = name.partition("_")
    noun = (noun or name).partition("_by_")[0]
    return class_name(noun[:-1] if noun.endswith("s") and not noun.endswith("ss") else noun)
