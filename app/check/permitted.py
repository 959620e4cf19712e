"""Prove that a role with the derived rights may run every statement: PostgreSQL itself is asked, as that role."""

import secrets
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg

from app.check.postgres.acl_catalog import AclCatalog, load_acl_catalog
from app.check.postgres.describe import Description
from app.check.postgres.grants import grant_statements, held_rights
from app.check.postgres.proofs.tree import Node, TreeError
from app.check.postgres.rights import Needs, load_trees, needed_rights
from app.check.postgres.server_types import ServerConnection, without_domain
from app.check.python.bound_functions import BoundFunction, checked_text
from app.check.rules.problems import Problem

_PUBLIC = 0
_EXPLAINED = frozenset({"select", "insert", "update", "delete", "merge", "values", "with", "copy"})


async def check_rights(
    connection: ServerConnection, queries: Sequence[tuple[BoundFunction, Description]], others: Mapping[str, str]
) -> list[Problem]:
    """Return what a role that has exactly the rights that the statements need may not do.

    `others` are statements that no function is bound to, by name. Nothing stays: the role ends with a transaction that
    is rolled back. Only statements that PostgreSQL understands may be given.
    """
    trees = list[Node]()
    for text in [*(_text(signature) for signature, _ in queries), *others.values()]:
        # One that no function can have as its body gives no right; if it needs any, it is refused below.
        with suppress(asyncpg.PostgresError, TreeError):
            trees += await load_trees(connection, [text])
    catalog = await load_acl_catalog(connection)
    needs = needed_rights(catalog, trees)
    problems = [*_unclear(catalog, needs), *_open_paths(catalog)]
    try:
        async with _as_application(connection, catalog, needs):
            for signature, description in queries:
                if refusal := await _refusal(connection, signature, description):
                    problems.append(refusal)
    except asyncpg.InsufficientPrivilegeError as error:
        problems.append(
            Problem(
                "",
                None,
                f"the rights of the application cannot be proved: {error}",
                "let the login of the server create roles: alter role … createrole",
            )
        )
    return problems


def _text(signature: BoundFunction) -> str:
    return checked_text(signature.query.statement)[0]


@asynccontextmanager
async def _as_application(connection: ServerConnection, catalog: AclCatalog, needs: Needs) -> AsyncGenerator[None]:
    """Act as a new role with these rights, while PUBLIC has none, and take all that back at the end."""
    role = f"bindery_check_{secrets.token_hex(6)}"
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(f"create role {role}; grant {role} to current_user")
        for statement in grant_statements(catalog, "public", (), await held_rights(connection, catalog, _PUBLIC)):
            await connection.execute(statement)
        for statement in grant_statements(catalog, role, needs.rights, ()):
            await connection.execute(statement)
        await connection.execute(f"set local role {role}; set local plan_cache_mode = force_generic_plan")
        yield
    finally:
        await transaction.rollback()


async def _refusal(connection: ServerConnection, signature: BoundFunction, description: Description) -> Problem | None:
    """Let PostgreSQL plan the statement and check its rights, as it does before it runs one. Nothing is executed."""
    statement = signature.query.statement
    if statement.keyword not in _EXPLAINED:
        return None
    types = [without_domain(parameter.type).name for parameter in description.parameters]
    declared, nulls = (f"({', '.join(each)})" if types else "" for each in (types, ["null"] * len(types)))
    try:
        async with connection.transaction():
            await connection.execute(f"prepare bindery_permitted{declared} as {_text(signature)}")
            await connection.execute(f"explain execute bindery_permitted{nulls}; deallocate bindery_permitted")
    except asyncpg.InsufficientPrivilegeError as error:
        return Problem(
            signature.name,
            statement.locate(0),
            f"the application would not be allowed to run this: {error}",
            "write what it calls so that PostgreSQL knows what it uses, or as security definer",
            python=f"{signature.place}: {signature.query.function}",
            postgresql=f"{error.sqlstate}: {error}",
        )
    except asyncpg.PostgresError:
        # No matter of rights: what else is wrong with the statement, the other checks say.
        return None
    return None


def _unclear(catalog: AclCatalog, needs: Needs) -> Iterator[Problem]:
    """Yield a problem for each function that needs rights which nobody can derive."""
    tables: dict[int, list[str]] = {}
    for function, table in sorted(needs.unclear):
        tables.setdefault(function, []).append(catalog.relations[table].name)
    for function, names in tables.items():
        yield Problem(
            "",
            None,
            f"the function {catalog.functions[function].name} names {', '.join(names)}, with its caller's rights, and"
            " PostgreSQL does not record what it uses",
            "make it security definer with a search_path of its own, or write its body as SQL without quotes",
        )


def _open_paths(catalog: AclCatalog) -> Iterator[Problem]:
    for function in catalog.functions.values():
        if function.as_owner and not function.has_path:
            yield Problem(
                "",
                None,
                f"the function {function.name} has its owner's rights, and its caller chooses what its names mean",
                f"alter routine {function.sql} set search_path = public, pg_temp",
            )
