"""`python -m app explain`."""

import asyncio
import difflib
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.syntax import Syntax

from app.db import BinderyError, Database, Query
from app.db.binding.annotations import type_name
from app.main import SERVER_SETTINGS
from app.plans import ExplainError, Plan, explain
from app.repositories import all_queries
from app.target import target_database


@click.command()
@click.argument("name", required=False)
@click.argument("values", nargs=-1, metavar="[PARAMETER=VALUE]...")
@click.option("--analyze", is_flag=True, help="Run the statement and measure it; only for one that cannot write.")
@click.option("--list", "lists", is_flag=True, help="List all statements with their parameters.")
def command(name: str | None, values: tuple[str, ...], analyze: bool, lists: bool) -> None:
    """Show the plan of a named statement.

    Without values it is the generic plan, which the service runs for every
    value. A list is written as JSON, and null stands for no value. It is made
    in a transaction that is read only and rolled back.

    \b
    Examples:
        python -m app explain articles.get_article
        python -m app explain articles.get_article slug=a-title-1 viewer_id=null generation=null --analyze
        python -m app explain --list
    """
    queries = all_queries()
    if lists or name is None:
        for each in queries.values():
            click.echo(f"{each.name} {_signature(each)}".rstrip())
        return
    query = queries.get(name)
    if query is None:
        raise click.UsageError(f"there is no statement {name!r}{_nearest(name, queries)}")
    arguments = _arguments(query, values) if values or analyze else None
    with target_database() as dsn:
        try:
            plan = asyncio.run(_explain(dsn, query, arguments, analyze=analyze))
        except (ExplainError, BinderyError) as error:
            raise click.ClickException(str(error)) from None
    _show(query, plan)


async def _explain(dsn: str, query: Query, arguments: tuple[object, ...] | None, *, analyze: bool) -> Plan:
    async with Database(dsn, min_size=1, max_size=1, server_settings=SERVER_SETTINGS) as db:
        return await explain(db, query, arguments, analyze=analyze)


def _arguments(query: Query, values: tuple[str, ...]) -> tuple[object, ...]:
    given: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals:
            raise click.UsageError(f"{value!r} is no PARAMETER=VALUE")
        if name not in query.parameters:
            raise click.UsageError(f"{query.name} has no parameter {name!r}; it has: {_signature(query) or 'none'}")
        given[name] = text
    missing = [name for name in query.parameters if name not in given]
    if missing:
        raise click.UsageError(f"{query.name} also needs {', '.join(missing)}; it has: {_signature(query)}")
    types = zip(query.parameters, query.annotations, strict=True)
    return tuple(_value(name, annotation, given[name]) for name, annotation in types)


def _value(name: str, annotation: Any, text: str) -> object:
    adapter: TypeAdapter[object] = TypeAdapter(annotation)
    try:
        if text == "null" or text.startswith(("[", "{")):
            return adapter.validate_json(text)
        return adapter.validate_strings(text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise click.UsageError(f"{name}={text}: {reason}; allowed: {type_name(annotation)}") from None


def _signature(query: Query) -> str:
    types = zip(query.parameters, query.annotations, strict=True)
    return ", ".join(f"{name}: {type_name(annotation)}" for name, annotation in types)


def _nearest(name: str, queries: dict[str, Query]) -> str:
    near = difflib.get_close_matches(name, queries, n=1)
    return f"; did you mean {near[0]!r}?" if near else "; --list shows all"


def _show(query: Query, plan: Plan) -> None:
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"{query.statement.place}, bound at {query.python_place}\n", markup=False)
    console.print(
        Syntax(query.text, "sql", background_color="default") if console.is_terminal else query.text, markup=False
    )
    console.print()
    for line in plan.lines:
        console.print(line, markup=False)
    for warning in plan.warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)
