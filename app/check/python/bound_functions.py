"""What the Python side of a binding says: arguments, fields of the row type, promise of rows."""

import dataclasses
import inspect
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

from app.check.python.declared import Declared, declared, declared_fields, definition, optional_rows, original, place_of
from app.check.python.text_places import name_offset, parameter_offset
from app.db.binding.queries import Queries
from app.db.binding.query import Query
from app.db.binding.row_fields import split_optional
from app.db.sql.copy_target import CopyTarget, copy_target
from app.db.sql.places import Place
from app.db.sql.statement import Statement


@dataclass(frozen=True, slots=True)
class BoundFunction:
    """A bound function and its statement."""

    name: str
    """The file's name and the function's: `articles.list_feed`."""
    query: Query
    queries: Queries
    module: ModuleType
    place: Place
    """Where the function is defined."""
    returns: Declared
    arguments: tuple[Declared, ...]
    """In the order of the placeholders; of a COPY, the fields of its rows in the order of its columns."""

    @property
    def is_scalar(self) -> bool:
        """Whether a row is one value."""
        return self.query.row_type is not None and self.query.row_type.is_scalar

    @property
    def given(self) -> frozenset[int]:
        """The numbers of the parameters whose arguments cannot be None."""
        return frozenset(number for number, argument in enumerate(self.arguments, 1) if not argument.allows_none)

    def fields(self, columns: Sequence[str]) -> list[Declared]:
        """Return the fields that these columns fill, by name. A scalar accepts any name."""
        if self.query.row_type is None:
            return []
        row_type, optional = split_optional(self.query.row_type.type)
        if not self.is_scalar:
            return list(declared_fields(row_type, columns))
        # A null in `-> str | None` is the None that the type allows.
        nullable = optional or self.query.cardinality == "optional"
        return [dataclasses.replace(self.returns, name="", annotation=row_type, optional=nullable)]

    def optional_rows(self, columns: Sequence[str]) -> list[Declared]:
        """Return the nested rows that these columns fill and that may be None."""
        if self.query.row_type is None or self.is_scalar:
            return []
        return list(optional_rows(split_optional(self.query.row_type.type)[0], columns))

    def locate_parameter(self, number: int, *, beside: Collection[str] = ()) -> Place:
        """Return the first place of a parameter, or its first beside one of these words; for a COPY, of the column."""
        statement = self.query.statement
        if self.query.copy is not None:
            return statement.locate(name_offset(statement.text, self.query.copy.columns[number - 1]))
        return statement.locate(parameter_offset(statement.text, number, beside=beside))


def checked_text(statement: Statement) -> tuple[str, tuple[str, ...]]:
    """Return the text that is checked and the names of its parameters. For a COPY it is an insert of one row.

    Raises BindingError for a COPY that no function can be bound to.
    """
    if statement.keyword != "copy":
        return statement.text, statement.parameters
    target = copy_target(statement)
    return _insert(target), target.columns


def bound_functions(modules: Sequence[ModuleType]) -> Iterator[BoundFunction]:
    """Return the functions of these modules that are bound to statements."""
    for module in modules:
        for queries in bound_files(module):
            for query in queries.bound.values():
                yield _signature(module, queries, query)


def bound_files(module: ModuleType) -> list[Queries]:
    """Return the SQL files that a module itself binds functions to."""
    found = {id(value): value for value in vars(module).values() if isinstance(value, Queries)}
    functions = [value for value in vars(module).values() if inspect.isfunction(value)]
    own = {function.__name__ for function in functions if function.__module__ == module.__name__}
    return [queries for queries in found.values() if own >= set(queries.bound)]


def _signature(module: ModuleType, queries: Queries, query: Query) -> BoundFunction:
    function, node = original(module, query.function), definition(module, query.function)
    path, hints = Path(inspect.getfile(function)), get_type_hints(function)
    arguments = {
        argument.arg: declared(argument.arg, hints[argument.arg], argument.annotation, f"{argument.arg}: ", path)
        for argument in node.args.kwonlyargs
    }
    names = query.parameters
    if query.copy is not None and query.row_type is not None:
        names = query.copy.columns
        arguments = {field.name: field for field in declared_fields(query.row_type.type, names)}
    return BoundFunction(
        name=f"{queries.path.stem}.{query.function}",
        query=query,
        queries=queries,
        module=module,
        place=place_of(path, node.lineno, node.col_offset),
        returns=declared("return", hints["return"], node.returns, "-> ", path),
        arguments=tuple(arguments[name] for name in names),
    )


def _insert(target: CopyTarget) -> str:
    numbers = ", ".join(f"${number}" for number in range(1, len(target.columns) + 1))
    return f"insert into {target.quoted_table} ({target.quoted_columns}) values ({numbers})"  # noqa: S608 - quoted names
