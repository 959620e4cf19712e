"""Each of the service's own queries against a migrated database."""

import asyncio
import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest

import app.repositories
from app.check.checks import Report
from app.check.lock import lock_text, read_lock
from app.check.project import Project, check_offline, check_on_server, lock_problem
from app.check.python.bound_functions import BoundFunction, bound_functions
from app.migration_files import MIGRATIONS
from app.migrations import apply_migrations
from app.repositories import SQL
from tests.databases import TemplateDatabase

MODULES: list[ModuleType] = [
    importlib.import_module(f"app.repositories.{module.name}")
    for module in pkgutil.iter_modules(app.repositories.__path__)
]
SIGNATURES = {signature.name: signature for signature in bound_functions(MODULES)}
PROJECT = Project(
    load=lambda: MODULES,
    server=lambda: nullcontext(""),
    migrate=apply_migrations,
    migrations=MIGRATIONS,
    sql=SQL,
)


@pytest.fixture(scope="module")
def report(template_database: TemplateDatabase) -> Iterator[Report]:
    with template_database.copy() as dsn:
        yield asyncio.run(check_on_server(PROJECT, dsn, MODULES))


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES.keys())
def test_a_query_and_its_function_fit_each_other(report: Report, signature: BoundFunction) -> None:
    (checked,) = [checked for checked in report.queries if checked.signature.name == signature.name]

    assert "\n\n".join(map(str, checked.problems)) == ""


def test_every_statement_migration_constraint_and_exemption_is_in_use(report: Report) -> None:
    assert "\n\n".join(map(str, report.others)) == ""


def test_the_lock_file_is_up_to_date(report: Report) -> None:
    assert lock_problem(PROJECT, report) is None
    assert lock_text(report.described) == PROJECT.lock.read_text(encoding="utf-8")


def test_the_lock_file_is_enough_to_check_the_signatures() -> None:
    report = check_offline(PROJECT, MODULES)

    assert (
        {checked.signature.name for checked in report.queries}
        == set(SIGNATURES)
        == set(read_lock(PROJECT.lock).entries)
    )
    assert "\n\n".join(map(str, report.problems)) == ""


def test_every_module_has_queries() -> None:
    stems = {Path(module.__file__ or "").stem for module in MODULES}

    assert stems == {path.stem for path in SQL.glob("*.sql")}
