"""Define the command `check`; what it checks is passed in."""

import asyncio
import difflib
import time
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import asyncpg
import click
from rich.console import Console

from app.check.checks import UNREADABLE, Report
from app.check.lock import LockError, lock_text, read_lock
from app.check.postgres.describe import describe
from app.check.postgres.schema import load_schema
from app.check.postgres.scratch import ScratchError, scratch_database
from app.check.printing import print_problems, print_report
from app.check.project import Project, check_offline, check_on_server, lock_problem, release_problems
from app.check.python.bound_functions import bound_files, checked_text
from app.check.python.generation import given_parameters, python_source
from app.check.rules.existing_rows import fitting_row
from app.check.rules.problems import Problem
from app.db.errors import BindingError, SQLFileError
from app.db.sql.file import load_statements
from app.db.sql.places import shown
from app.db.sql.statement import Statement


def check_command(project: Project) -> click.Command:
    """Return the command `check` of this project. It exits with 1 on any problem, and with 2 on wrong usage."""

    @click.command()
    @click.option("--server", metavar="DSN", help="The server that gets the scratch database.")
    @click.option("--lock", "writes_lock", is_flag=True, help="Write the lock file.")
    @click.option(
        "--against",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="LOCK",
        help="Check the queries of an older release, by its lock file, instead.",
    )
    @click.option("--offline", is_flag=True, help="Check against the lock file, without a server.")
    @click.option("--describe", "described", metavar="NAME", help="Print the Python of a statement, to be pasted.")
    def check(
        server: str | None, writes_lock: bool, against: Path | None, offline: bool, described: str | None
    ) -> None:
        """Check every query against PostgreSQL, in a scratch database.

        The database is created, migrated and dropped; nothing else is touched.
        Exit codes: 0 all is well, 1 there is a problem, 2 wrong usage.

        \b
        Examples:
            python -m app check
            python -m app check --lock
            python -m app check --offline
            git show v1.0:sql/lock.json > v1.0.json
            python -m app check --against v1.0.json
            python -m app check --describe articles.list_feed
        """
        if sum((writes_lock, against is not None, offline, described is not None)) > 1:
            raise click.UsageError("--lock, --against, --offline and --describe exclude each other.")
        if offline and server:
            raise click.UsageError("--offline needs no --server.")
        console = Console(soft_wrap=True, highlight=False)
        with _reported(console):
            modules = _load(project)
            if offline:
                started = time.perf_counter()
                _finish(check_offline(project, modules), console, started)
            elif described is not None:
                statement = _statement(project, modules, described)
                with _database(project, server) as dsn:
                    click.echo(asyncio.run(_describe(dsn, statement, modules)), nl=False)
            elif against is not None:
                lock = read_lock(against)
                with _database(project, server) as dsn:
                    _finish_problems(asyncio.run(release_problems(dsn, lock)), console, len(lock.entries))
            else:
                _check(project, modules, server, console, writes_lock=writes_lock)

    return check


def _load(project: Project) -> Sequence[ModuleType]:
    """Import the project's modules. An error in their Python is reported in one line."""
    try:
        return project.load()
    except (BindingError, SQLFileError):
        raise
    except Exception as error:
        raise click.ClickException(f"{_place(error)}: {type(error).__name__}: {error}") from None


def _place(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    file, line = last.filename, last.lineno
    if isinstance(error, SyntaxError) and error.filename is not None:
        file, line = error.filename, error.lineno
    return f"{shown(Path(file))}:{line}"


def _check(
    project: Project, modules: Sequence[ModuleType], server: str | None, console: Console, *, writes_lock: bool
) -> None:
    started = time.perf_counter()
    with _database(project, server) as dsn:
        report = asyncio.run(check_on_server(project, dsn, modules))
    if not writes_lock:
        # While there are other problems, the lock file will change with their solutions.
        if not report.problems and (problem := lock_problem(project, report)):
            report.others.append(problem)
    elif len(report.described) == len(report.queries):
        project.lock.write_text(lock_text(report.described), encoding="utf-8")
    else:
        click.echo("The lock file stays as it was: it has to have every statement, and PostgreSQL refuses some.\n")
    _finish(report, console, started)


@contextmanager
def _database(project: Project, server: str | None) -> Generator[str]:
    if server is not None:
        with scratch_database(server, project.migrate) as dsn:
            yield dsn
        return
    with project.server() as own, scratch_database(own, project.migrate) as dsn:
        yield dsn


@contextmanager
def _reported(console: Console) -> Generator[None]:
    """Report errors in the files themselves as a message and exit code 1."""
    try:
        yield
    except (BindingError, SQLFileError) as error:
        print_problems([Problem("", None, str(error))], console)
        raise click.exceptions.Exit(1) from None
    except (ScratchError, LockError) as error:
        raise click.ClickException(str(error)) from None


def _finish(report: Report, console: Console, started: float) -> None:
    print_report(report, console, time.perf_counter() - started)
    if report.problems:
        raise click.exceptions.Exit(1)


def _finish_problems(problems: Sequence[Problem], console: Console, queries: int) -> None:
    print_problems(problems, console)
    broken = len({problem.query for problem in problems})
    console.print(f"\n{broken} of the {queries} queries of that release would break.")
    if problems:
        raise click.exceptions.Exit(1)


def _statement(project: Project, modules: Sequence[ModuleType], name: str) -> Statement:
    """Return the statement of this name, of any SQL file of the project, bound or not."""
    paths = {queries.path.resolve() for module in modules for queries in bound_files(module)}
    paths.update(path.resolve() for path in project.sql.glob("*.sql"))
    statements = {
        f"{path.stem}.{each}": statement for path in sorted(paths) for each, statement in load_statements(path).items()
    }
    if name not in statements:
        near = difflib.get_close_matches(name, statements, n=1)
        raise click.UsageError(f"There is no statement {name}." + "".join(f" Did you mean {found}?" for found in near))
    return statements[name]


async def _describe(dsn: str, statement: Statement, modules: Sequence[ModuleType]) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        schema, text = await load_schema(connection), checked_text(statement)[0]
        asked = await describe(connection, schema, text)
        description = await describe(connection, schema, text, given_parameters(asked))
    except asyncpg.PostgresError as error:
        position: str | None = None if statement.keyword == "copy" else error.position
        raise SQLFileError(statement.locate(int(position or 1) - 1).report(str(error))) from None
    except UNREADABLE as error:
        raise SQLFileError(statement.locate(0).report(f"the driver cannot read a type of it: {error}")) from None
    finally:
        await connection.close()
    return python_source(statement, description, fitting_row(modules, description.columns))
