"""Explains a bound query: the plan that PostgreSQL makes for it, and what in the plan deserves a look."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import asyncpg

from app.db import BadArgument, Connection, Database, Query, StatementTimeout
from app.db.binding.annotations import refusal
from app.db.binding.argument_errors import bad_argument

MANY_ROWS = 1000
"""A full scan of a table with more rows than this is worth a warning."""
FAR_OFF = 10
"""So is an estimate that is wrong by more than this factor."""
_EXPLAINED = frozenset({"select", "insert", "update", "delete", "merge", "values", "with", "table"})
_ESTIMATE = re.compile(r"\(cost=[\d.]+\.\.(?P<cost>[\d.]+) rows=(?P<rows>\d+) width=\d+\)")
_ACTUAL = re.compile(r"\(actual [^)]*?rows=(?P<rows>[\d.]+) loops=\d+\)")
_SCAN = re.compile(r"\bSeq Scan on (?P<table>\"(?:[^\"]|\"\")+\"|[^\s\"]+)")
_TIME = re.compile(r"Execution Time: (?P<milliseconds>[\d.]+) ms")
_ROWS_OF = "select reltuples::float8 from pg_catalog.pg_class where oid = pg_catalog.to_regclass($1)"


class ExplainError(Exception):
    """A statement cannot be explained. The message names it and says why."""

    def __init__(self, query: Query, reason: str) -> None:
        super().__init__(f"{query.statement.place}: {query.function}: {reason}")


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a statement, as EXPLAIN prints it and in numbers."""

    lines: tuple[str, ...]
    cost: float
    """The planner's total cost."""
    rows: int
    """How many rows the planner expects."""
    milliseconds: float | None
    """How long the statement ran. None unless it was analyzed."""
    warnings: tuple[str, ...]


class _RollBack(Exception):
    """Ends a transaction without storing anything."""


async def explain(
    db: Database,
    query: Query,
    arguments: tuple[object, ...] | None = None,
    *,
    analyze: bool = False,
    timeout: float = 5.0,
) -> Plan:
    """Return the plan for these arguments, in the order of `query.parameters`; without them the generic plan.

    It is made in a read-only transaction that is rolled back, and no step of it may take longer than `timeout` seconds.
    `analyze` runs the statement and measures it. Raises ExplainError when the statement cannot be explained, may write
    and is to be analyzed, or is not done in time; BadArgument as the bound function does; BindingError when the
    statement does not match the database.
    """
    _refuse(query, arguments, analyze=analyze, timeout=timeout)
    plan: list[Plan] = []
    settings = {"statement_timeout": max(1, round(timeout * 1000))}
    try:
        with suppress(_RollBack):
            async with db.transaction(readonly=True, settings=settings) as tx:
                lines = await _lines(tx, query, arguments, analyze=analyze, timeout=timeout)
                plan.append(await _plan(tx, lines))
                raise _RollBack
    except StatementTimeout as error:
        raise ExplainError(query, f"it was not done after {timeout:g} s") from error
    except asyncpg.PostgresError as error:
        raise _explained(query, arguments or (), error) from error
    return plan[0]


def _refuse(query: Query, arguments: tuple[object, ...] | None, *, analyze: bool, timeout: float) -> None:
    if timeout <= 0:
        raise ValueError(f"timeout ({timeout} s) must be more than 0")
    if query.statement.keyword not in _EXPLAINED:
        raise ExplainError(query, f"PostgreSQL has no plan for {query.statement.keyword.upper() or 'this'}")
    if analyze and query.touches_session:
        raise ExplainError(
            query, "it is not analyzed, which would run it: it calls a function that may write or change the session"
        )
    if analyze and not query.reads_only:
        raise ExplainError(query, "it is not analyzed, which would run it: it may write")
    if analyze and arguments is None and query.parameters:
        raise ExplainError(query, f"it needs a value for {', '.join(query.parameters)} to be analyzed")
    if arguments is not None:
        _refuse_arguments(query, arguments)


def _refuse_arguments(query: Query, arguments: tuple[object, ...]) -> None:
    if len(arguments) != len(query.parameters):
        raise ExplainError(query, f"it has {len(query.parameters)} parameters, not {len(arguments)}")
    for name, annotation, value in zip(query.parameters, query.annotations, arguments, strict=True):
        if problem := refusal(annotation)(value):
            raise BadArgument(query.function, name, problem)


async def _lines(
    tx: Connection, query: Query, arguments: tuple[object, ...] | None, *, analyze: bool, timeout: float
) -> list[str]:
    # Reports what does not match the database at its place in the file, which EXPLAIN cannot.
    prepared = await tx.driver.prepare_query(query)
    # The server stops itself first; this is for one that does not answer.
    wait = timeout + 1
    if arguments is None and query.parameters:
        return await _generic_lines(tx, query.text, len(query.parameters), wait)
    options = "explain (analyze, buffers)" if analyze else "explain"
    rows = await tx.fetch(f"{options} {query.text}", *prepared.accepted(arguments or ()), timeout=wait)
    return [row[0] for row in rows]


async def _generic_lines(tx: Connection, text: str, parameters: int, wait: float) -> list[str]:
    # Over the extended protocol, the only one that returns rows here, `explain (generic_plan)` would ask for values.
    # The pool closes a session that ran PREPARE, so nothing has to be deallocated.
    await tx.execute("set local plan_cache_mode = force_generic_plan", timeout=wait)
    await tx.execute(f"prepare bindery_explain as {text}", timeout=wait)
    nulls = ", ".join(["null"] * parameters)
    return [row[0] for row in await tx.fetch(f"explain execute bindery_explain({nulls})", timeout=wait)]


async def _plan(tx: Connection, lines: Sequence[str]) -> Plan:
    top = next(found for line in lines if (found := _ESTIMATE.search(line)))
    time = next((found for line in lines if (found := _TIME.search(line))), None)
    warnings = [warning for line in lines if (warning := await _full_scan(tx, line))]
    return Plan(
        lines=tuple(lines),
        cost=float(top["cost"]),
        rows=int(top["rows"]),
        milliseconds=float(time["milliseconds"]) if time else None,
        warnings=tuple(dict.fromkeys([*warnings, *_wrong_estimates(lines)])),
    )


async def _full_scan(tx: Connection, line: str) -> str | None:
    """Return a warning if the line is a full scan of a big table."""
    scan, estimate = _SCAN.search(line), _ESTIMATE.search(line)
    if not scan or not estimate:
        return None
    # The plan says how many rows pass the filter, the catalog how many are read; it has no answer, or -1, for a table
    # that is not on the search path or was never analyzed.
    rows = max(await tx.fetchval(_ROWS_OF, scan["table"]) or 0, int(estimate["rows"]))
    return f"full scan of {scan['table']}, about {rows:,.0f} rows" if rows > MANY_ROWS else None


def _explained(query: Query, arguments: tuple[object, ...], error: asyncpg.PostgresError) -> Exception:
    """Return the error of the bound function for a refused value, or an ExplainError."""
    own = bad_argument(query.function, query.parameters, arguments, error)
    return own or ExplainError(query, str(error))


def _wrong_estimates(lines: Sequence[str]) -> Iterator[str]:
    # A limit ends what is below it early, so that fewer rows than expected mean nothing.
    limited = any(re.match(r"\s*(?:->\s*)?Limit\b", line) for line in lines)
    for line in lines:
        estimate, actual = _ESTIMATE.search(line), _ACTUAL.search(line)
        if not estimate or not actual:
            continue
        expected, found = int(estimate["rows"]), float(actual["rows"])
        low, high = sorted((max(expected, 1), max(found, 1)))
        if high > FAR_OFF * low and not (limited and found < expected):
            node = line[: estimate.start()].strip().removeprefix("->").strip()
            yield f"{node}: {expected:,} rows were expected and {found:,.0f} found; ANALYZE the table"
