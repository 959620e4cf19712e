"""`python -m app check`."""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from app import repositories
from app.check.command import check_command
from app.check.project import Project
from app.db.run import STATEMENTS
from app.migration_files import MIGRATIONS
from app.migrations import apply_migrations
from app.repositories import SQL
from app.target import scratch_server


def _repositories() -> list[ModuleType]:
    package = repositories
    return [import_module(f"{package.__name__}.{module.name}") for module in iter_modules(package.__path__)]


command = check_command(Project(_repositories, scratch_server, apply_migrations, MIGRATIONS, SQL, STATEMENTS))
