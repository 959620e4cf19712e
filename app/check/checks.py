"""Check one query in every way, and all of them together."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import asyncpg

from app.check.postgres.describe import Description, describe
from app.check.postgres.plans import FullScan, Unplannable, full_scans
from app.check.postgres.schema import Schema
from app.check.postgres.server_types import ServerConnection, without_domain
from app.check.python.bound_functions import BoundFunction, checked_text
from app.check.python.text_places import name_offset
from app.check.rules.columns import check_columns
from app.check.rules.exemptions import Exemption, Exemptions, unused_exemptions
from app.check.rules.parameters import check_parameters
from app.check.rules.placeholders import instead
from app.check.rules.problems import Problem
from app.check.rules.promises import check_needless_optionals, check_rows
from app.check.rules.unused import forgotten_values, unmapped_conflicts
from app.db.binding import generic_plan as generic
from app.db.sql.places import Place

UNREADABLE = (asyncpg.InternalClientError, asyncpg.UnsupportedClientFeatureError)
"""What the driver raises for a type that it cannot decode."""
_NUMBER = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Checked:
    """A query, its description by PostgreSQL, and its problems. The description is None if PostgreSQL refused it."""

    signature: BoundFunction
    description: Description | None
    problems: list[Problem]
    allowed: Exemptions


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a check."""

    queries: list[Checked] = field(default_factory=list[Checked])
    others: list[Problem] = field(default_factory=list[Problem])
    """Problems of no query, or of several."""

    @property
    def problems(self) -> list[Problem]:
        """Every problem, those of the queries first."""
        return [problem for checked in self.queries for problem in checked.problems] + self.others

    @property
    def exemptions(self) -> list[Exemption]:
        """The exemptions that were needed. One in a fragment counts once."""
        used = {exemption.place: exemption for checked in self.queries for exemption in checked.allowed.used}
        return list(used.values())

    @property
    def described(self) -> list[tuple[BoundFunction, Description]]:
        """The queries that PostgreSQL understands."""
        return [(checked.signature, checked.description) for checked in self.queries if checked.description]


async def check_query(connection: ServerConnection, schema: Schema, signature: BoundFunction) -> Checked:
    """Check one bound function against the database of this connection.

    Any failure is a problem of this query; the other queries are checked all the same.
    """
    try:
        return await _checked(connection, schema, signature)
    except UNREADABLE as error:
        message = f"the driver cannot read or write a type of the statement: {_one_line(error)}"
        mend = "name the columns that you need, and cast a type that the driver does not know to text"
    except Exception as error:
        # The others are checked all the same.
        message = f"this statement cannot be checked: {type(error).__name__}: {_one_line(error)}"
        mend = "write it in a simpler way, and report it to whoever maintains the checker"
    python = f"{signature.place}: {signature.query.function}"
    problem = Problem(signature.name, signature.query.statement.locate(0), message, mend, python=python)
    return Checked(signature, None, [problem], Exemptions(()))


async def _checked(connection: ServerConnection, schema: Schema, signature: BoundFunction) -> Checked:
    statement, allowed = signature.query.statement, Exemptions(signature.query.statement.check_notes)
    try:
        description = await describe(connection, schema, checked_text(statement)[0], signature.given)
    except asyncpg.PostgresError as error:
        return Checked(signature, None, [_refused(signature, error), *allowed.problems(signature.name)], allowed)
    problems = list(check_description(signature, description, allowed))
    # As an argument of a domain that refuses null, null would be an error.
    types = [without_domain(parameter.type).name for parameter in description.parameters]
    try:
        for scan in await full_scans(connection, schema.indexes, statement.text, statement.keyword, types):
            tables = (scan.table, *schema.ancestors.get(scan.table, ()))
            if not any(allowed.allow("full scan of", table) for table in tables):
                problems.append(_scanning(signature, scan))
    except Unplannable as refusal:
        problems.append(_unplannable(signature, refusal.error))
    return Checked(signature, description, problems, allowed)


def check_description(signature: BoundFunction, description: Description, allowed: Exemptions) -> Iterator[Problem]:
    """Yield the problems of a bound function with a description, present or from the lock file. Needs no server."""
    yield from check_parameters(signature, description, allowed)
    yield from check_columns(signature, description, allowed)
    yield from check_rows(signature, description, allowed)
    yield from unmapped_conflicts(signature, description, allowed)
    yield from forgotten_values(signature, description)
    yield from allowed.problems(signature.name)


def check_together(queries: Sequence[Checked], *, plans: bool) -> Iterator[Problem]:
    """Yield the problems of all queries together. Without plans, exemptions of full scans are not judged."""
    described = [(checked.signature, checked.description) for checked in queries if checked.description]
    yield from check_needless_optionals(described)
    for problem, exemption in unused_exemptions([checked.allowed for checked in queries if checked.description]):
        if plans or exemption.kind != "full scan of":
            yield problem


def _refused(signature: BoundFunction, error: asyncpg.PostgresError) -> Problem:
    hint: str | None = error.hint
    return Problem(
        signature.name,
        _position(signature, error),
        f"PostgreSQL refuses the statement: {error.message}",
        instead(signature.query.statement, error) or hint or "mend the statement, or migrate the schema",
        python=f"{signature.place}: {signature.query.function}",
        postgresql=f"{error.sqlstate}: {error.message}",
    )


def _unplannable(signature: BoundFunction, error: asyncpg.PostgresError) -> Problem:
    return Problem(
        signature.name,
        _position(signature, error),
        f"PostgreSQL has no plan for any arguments: {error.message}",
        generic.mend(error),
        python=f"{signature.place}: {signature.query.function}",
        postgresql=f"{error.sqlstate}: {error.message}",
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _position(signature: BoundFunction, error: asyncpg.PostgresError) -> Place:
    position: str | None = error.position
    # The text of a COPY is not the one that is checked.
    is_own = position is not None and signature.query.copy is None
    return signature.query.statement.locate(int(position or 1) - 1 if is_own else 0)


def _scanning(signature: BoundFunction, scan: FullScan) -> Problem:
    statement = signature.query.statement
    predicate = _NUMBER.sub(lambda number: f":{statement.parameters[int(number[1]) - 1]}", scan.predicate)
    how = f"all of the index {scan.index}" if scan.index else "with sequential scans disabled"
    return Problem(
        signature.name,
        statement.locate(name_offset(statement.text, scan.table)),
        f"no index of {scan.table} serves {predicate}"
        if predicate
        else f"nothing narrows what is read of {scan.table}",
        f"create an index, add a condition, or say `-- check: full scan of {scan.table}, because …`",
        python=f"{signature.place}: {signature.query.function}",
        postgresql=f"reads every row of {scan.table}, {how}",
    )
