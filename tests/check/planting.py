"""A small project in a folder of its own, into which a test plants a fault."""

import asyncio
import importlib.util
import secrets
import sys
from contextlib import nullcontext
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import psycopg

from app.check.checks import Report
from app.check.postgres.scratch import scratch_database
from app.check.project import Project, check_on_server

SCHEMA = """
create table people (
    id bigint generated always as identity,
    name text not null,
    nick text,
    joined_on date not null default current_date,
    constraint people_pkey primary key (id),
    constraint people_name_key unique (name)
);
create table pets (
    id bigint generated always as identity constraint pets_pkey primary key,
    owner_id bigint not null constraint pets_owner_id_fkey references people (id),
    name text not null
);
create index pets_owner_id_name_idx on pets (owner_id, name);
"""

PRELUDE = """\
import datetime
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from app.db import Executor, Queries
"""


class KeepsNoBytecode(SourceFileLoader):
    """Bytecode would be taken for that of a later text of the same length, written in the same second."""

    def set_data(self, path: str, data: object, *, _mode: int = 0o666) -> None:
        """Write nothing."""


class Planted:
    """`people.py` (its functions begin in line 9), `sql/people.sql`, `sql/lock.json` and `migrations/` in a folder."""

    def __init__(self, folder: Path, server_dsn: str) -> None:
        self.folder = folder
        self.server_dsn = server_dsn
        self.schema = SCHEMA
        self.migrations = folder / "migrations"
        self.migrations.mkdir()
        (folder / "sql").mkdir()
        self.modules: list[ModuleType] = []

    @property
    def project(self) -> Project:
        """The project as the checker sees it."""
        return Project(
            load=lambda: self.modules,
            server=lambda: nullcontext(self.server_dsn),
            migrate=self.migrate,
            migrations=self.migrations,
            sql=self.folder / "sql",
        )

    def migrate(self, dsn: str) -> None:
        """Create the schema."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(self.schema.encode())

    def write(self, sql: str, python: str, *, options: str = "") -> None:
        """Write the statements and the functions, and import these."""
        (self.folder / "sql" / "people.sql").write_text(sql)
        path = self.folder / "people.py"
        queries = f'queries = Queries(Path(__file__).parent / "sql" / "people.sql"{options})\n'
        path.write_text(PRELUDE + queries + python)
        name = f"planted_{secrets.token_hex(4)}"
        spec = importlib.util.spec_from_file_location(name, path, loader=KeepsNoBytecode(name, str(path)))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        self.modules = [module]

    def check(self, sql: str, python: str, *, options: str = "") -> Report:
        """Check these statements and functions on a scratch database."""
        self.write(sql, python, options=options)
        return self.check_again()

    def check_again(self) -> Report:
        """Check what was written last."""
        with scratch_database(self.server_dsn, self.migrate) as dsn:
            return asyncio.run(check_on_server(self.project, dsn, self.modules))

    def problems(self, sql: str, python: str, *, options: str = "") -> list[str]:
        """The problems as they are printed."""
        return [str(problem) for problem in self.check(sql, python, options=options).problems]


def bound(signature: str, returns: str, before: str = "") -> str:
    """The source of one bound function: `bound("get_name, id: int", "str")`."""
    name, _, arguments = signature.partition(", ")
    arguments = f", *, {arguments}" if arguments else ""
    return f'{before}@queries.bind\nasync def {name}(db: Executor{arguments}) -> {returns}:\n    """It."""\n    ...\n'
