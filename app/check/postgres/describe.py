"""Describe a statement as PostgreSQL sees it: parameters, columns, rows, reads and writes. Execute nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from app.check.postgres.lineage import Lineage, lineage
from app.check.postgres.plans import conflict_arbiters
from app.check.postgres.proofs.absence import Absence, prove_absences
from app.check.postgres.proofs.analysis import analysed
from app.check.postgres.proofs.cardinality import prove_at_most_one
from app.check.postgres.proofs.catalog import load_catalog
from app.check.postgres.proofs.comparisons import compared_parameters, sorting_parameters, tested_parameters
from app.check.postgres.proofs.elements import prove_elements
from app.check.postgres.proofs.keys import load_keys
from app.check.postgres.proofs.nullability import prove_columns
from app.check.postgres.proofs.tree import Node, TreeError
from app.check.postgres.schema import Schema
from app.check.postgres.server_types import ServerConnection, ServerType, is_array, is_json, without_domain
from app.check.postgres.writes import breakable_constraints, filled_columns, forgotten_columns, infers_arbiters

NO_LINEAGE = Lineage((), (), ())
"""That of a statement of which nothing is known."""


@dataclass(frozen=True, slots=True)
class StatementParameter:
    """A parameter `$n`, and how the statement uses it."""

    type: ServerType
    fills: tuple[str, ...] = ()
    """The columns that are declared NOT NULL and get its value as it is."""
    compared: bool = False
    """Whether a condition compares it, which is never true for null."""
    tested: bool = False
    """Whether the statement expects it to be null: in `is null` or `coalesce`."""
    sorts: bool = False
    """Whether rows are ordered by it."""


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of the result."""

    name: str
    type: ServerType
    never_null: bool
    """Whether that is proved."""
    absence: Absence | None = None
    """Of a nested row's column: why it can be null, where an outer join is a reason."""
    holds_no_null: bool = False
    """Of an array: whether it is proved that no element of it is ever null."""


def shows_its_row(column: ResultColumn) -> bool:
    """Return whether a column of a nested row is None only where an outer join found no row; JSON null is None, too."""
    return column.absence is not None and column.absence.only and not is_json(column.type)


def are_null_together(columns: Sequence[ResultColumn]) -> bool:
    """Return whether all columns of a nested row are null exactly when the row is missing."""
    reasons = {column.absence.missing if column.absence and not column.never_null else "" for column in columns}
    return len(reasons) == 1 and any(column.absence and column.absence.only for column in columns)


@dataclass(frozen=True, slots=True)
class Description:
    """A statement as PostgreSQL understands it."""

    parameters: tuple[StatementParameter, ...]
    columns: tuple[ResultColumn, ...]
    at_most_one: bool
    """Whether it is proved that there is never a second row."""
    unproved: str
    """Why not; empty where it is proved."""
    can_violate: tuple[str, ...] = ()
    """Unique constraints and indexes."""
    forgets: tuple[str, ...] = ()
    """The NOT NULL columns without a default that an insert leaves out."""
    lineage: Lineage = NO_LINEAGE


async def describe(
    connection: ServerConnection, schema: Schema, text: str, given: frozenset[int] = frozenset()
) -> Description:
    """Describe a statement with `$1` …. Raises the server's error when it does not understand the statement.

    `given` are the numbers of the parameters that are never null.
    """
    statement = await connection.prepare(text)
    parameters = [schema.type_of(parameter.oid) for parameter in statement.get_parameters()]
    columns = [(attribute.name, schema.type_of(attribute.type.oid)) for attribute in statement.get_attributes()]
    types = [parameter.name for parameter in parameters]
    try:
        async with analysed(connection, text, types) as (tree, function):
            origin = await lineage(connection, schema, function, tree)
        catalog = await load_catalog(connection, tree, given)
        proved, absences = prove_columns(tree, catalog), prove_absences(tree, catalog)
        elements = prove_elements(tree, catalog)
        arbiters = await _arbiters(connection, tree, text, parameters)
        at_most_one, unproved = prove_at_most_one(tree, await load_keys(connection, tree))
    except (asyncpg.PostgresError, TreeError) as error:
        # The server has taken the statement itself. A command such as SHOW, an argument that no function can have, or a
        # tree that is not known: nothing is proved, and what the server says is about the function, not the statement.
        unproved = str(error) if isinstance(error, TreeError) else "nothing is proved of a statement of this kind"
        unknown = tuple(ResultColumn(name, type_, never_null=False) for name, type_ in columns)
        return Description(tuple(map(StatementParameter, parameters)), unknown, at_most_one=False, unproved=unproved)
    return Description(
        parameters=_parameters(tree, schema, parameters),
        columns=tuple(
            ResultColumn(name, type_, never, absence if "." in name else None, no_null and is_array(type_))
            for (name, type_), never, absence, no_null in zip(columns, proved, absences, elements, strict=True)
        ),
        at_most_one=at_most_one,
        unproved=unproved,
        can_violate=tuple(breakable_constraints(tree, schema, arbiters)),
        forgets=tuple(forgotten_columns(tree, schema)),
        lineage=origin,
    )


async def _arbiters(
    connection: ServerConnection, tree: Node, text: str, parameters: Sequence[ServerType]
) -> frozenset[str]:
    if not infers_arbiters(tree):
        return frozenset()
    return await conflict_arbiters(connection, text, [without_domain(each).name for each in parameters])


def _parameters(tree: Node, schema: Schema, types: Sequence[ServerType]) -> tuple[StatementParameter, ...]:
    compared, tested = compared_parameters(tree, schema.strict_functions), tested_parameters(tree)
    sorting = sorting_parameters(tree)
    return tuple(
        StatementParameter(
            type_, tuple(filled_columns(tree, schema, number)), number in compared, number in tested, number in sorting
        )
        for number, type_ in enumerate(types, 1)
    )
