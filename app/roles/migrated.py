"""Set up the roles around the migrations: the owner runs them, and then each role gets its rights."""

import asyncio
from dataclasses import replace
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from app.check.python.bound_functions import checked_text
from app.db.run import STATEMENTS
from app.migrations import apply_migrations
from app.repositories import all_queries
from app.roles.names import RoleNames, RolesError, names_of_login
from app.roles.setup import Outcome, Plan, add_rights, set_up


def service_statements() -> dict[str, str]:
    """Return what the service says to PostgreSQL, by name: each statement of sql/, and those of the layer."""
    return {name: checked_text(query.statement)[0] for name, query in all_queries().items()} | STATEMENTS


def set_up_and_migrate(dsn: str, plan: Plan) -> Outcome:
    """Create the roles, apply pending migrations as the owner, and give each role its rights."""
    first = asyncio.run(set_up(dsn, replace(plan, texts={}, revokes=False)))
    apply_migrations(acting_as(dsn, plan.names.owner))
    second = asyncio.run(set_up(dsn, replace(plan, rotate=frozenset())))
    return Outcome(first.statements + second.statements, first.passwords | second.passwords, second.refused)


def set_up_embedded(dsn: str) -> tuple[RoleNames, Outcome]:
    """Do the same on the embedded server, which asks for no password. Return the names of the roles, too.

    A mistake in sql/ stops no migration; it raises its BinderyError after them.
    """
    plan = Plan(RoleNames(database_of(dsn)), {}, passwords=False, revokes=False)
    asyncio.run(set_up(dsn, plan))
    apply_migrations(acting_as(dsn, plan.names.owner))
    return plan.names, asyncio.run(set_up(dsn, replace(plan, texts=service_statements(), revokes=True)))


def grant_after_migration(service_dsn: str, owner_dsn: str) -> list[str]:
    """Give the roles the rights that this release needs besides, as the owner. Return the statements that did it.

    Does nothing for logins that are not the application and the owner of one prefix. No right is taken away: the
    release that still runs needs its own.
    """
    names = names_of_login(user_of(service_dsn))
    if names is None or user_of(owner_dsn) != names.owner:
        return []
    return asyncio.run(add_rights(owner_dsn, names, service_statements()))


def user_of(dsn: str) -> str:
    """Return the login in a DSN; empty if there is none in it."""
    return unquote(urlsplit(dsn).username or "")


def database_of(dsn: str) -> str:
    """Return the name of the database in a DSN. Raises RolesError if there is none in it."""
    name = unquote(urlsplit(dsn).path.lstrip("/"))
    if not name:
        raise RolesError("DATABASE_URL names no database; allowed: postgresql://user:password@host:port/database")
    return name


def acting_as(dsn: str, role: str) -> str:
    """Return a DSN of the same login, whose sessions act as this role."""
    parts = urlsplit(dsn)
    query = dict(parse_qsl(parts.query))
    escaped = "".join(f"\\{letter}" if letter in "\\ " else letter for letter in role)
    query["options"] = f"{query.get('options', '')} -c role={escaped}".strip()
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


def login_as(dsn: str, role: str, password: str | None = None) -> str:
    """Return a DSN of the same database with another login."""
    parts = urlsplit(dsn)
    login = quote(role, safe="") + (f":{quote(password, safe='')}" if password else "")
    return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))
