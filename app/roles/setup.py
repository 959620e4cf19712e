"""Create the roles of a database or correct them, in one transaction, and give each its rights."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

from app.check.postgres.server_types import ServerConnection
from app.db import Database
from app.roles.attributes import Limits, attribute_statements, role_oid, wanted_attributes
from app.roles.names import KINDS, RoleNames, RolesError, literal, quoted
from app.roles.ownership import connect_statements, ownership_statements
from app.roles.passwords import HIDDEN, new_password, scram_verifier, verifies
from app.roles.rights import right_statements

# Two at once would trip over each other's changes of one row; and none waits for a table while others wait behind it.
_ALONE = "select pg_advisory_xact_lock(8242)"
_IN_HASTE = "set local lock_timeout = '5s'"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for."""

    names: RoleNames
    texts: Mapping[str, str]
    """The statements of the service with `$1` …, by name."""
    limits: Limits = field(default_factory=Limits)
    rotate: frozenset[str] = frozenset()
    """The kinds of roles that get a new random password, besides those that are created."""
    given: Mapping[str, str] = field(default_factory=dict[str, str])
    """The passwords of kinds of roles that somebody else chose; then a new role gets no random one."""
    passwords: bool = True
    """Whether roles have passwords at all; not where the server lets them in without."""
    revokes: bool = True
    """Whether rights that are not needed are taken away."""
    dry_run: bool = False


@dataclass(slots=True)
class Outcome:
    """What was done, or with `dry_run` would be."""

    statements: list[str] = field(default_factory=list[str])
    """Those that ran, in order, without any password in them."""
    passwords: dict[str, str] = field(default_factory=dict[str, str])
    """The new random passwords by kind; they are stored nowhere else."""
    refused: dict[str, str] = field(default_factory=dict[str, str])
    """What PostgreSQL says of statements that it does not understand, by name: their rights are not known."""


async def set_up(dsn: str, plan: Plan) -> Outcome:
    """Create or correct the roles of the database of this DSN. Change nothing that is right already.

    The login is a superuser, or one that may create roles and owns the database; where all roles are right, the owner
    itself can do the rest. Raises RolesError when it may not, and what app.db raises when there is no connection.
    """
    async with transaction(dsn, dry_run=plan.dry_run) as connection:
        outcome, database = Outcome(), await connection.fetchval("select current_database()")
        for wanted in wanted_attributes(plan.names, plan.limits):
            await _run(connection, outcome, await attribute_statements(connection, wanted, database))
        if plan.passwords:
            await _set_passwords(connection, outcome, plan)
        await _become_able(connection, outcome, plan.names)
        await _run(connection, outcome, await ownership_statements(connection, plan.names, database))
        await as_owner(connection, plan.names)
        await _run(connection, outcome, await connect_statements(connection, plan.names, database))
        statements, outcome.refused = await right_statements(connection, plan.names, plan.texts, revokes=plan.revokes)
        await _run(connection, outcome, statements)
        return outcome


async def add_rights(dsn: str, names: RoleNames, texts: Mapping[str, str]) -> list[str]:
    """Give the roles what they lack, and take nothing away. The login is the owner. Return the statements that ran."""
    async with transaction(dsn) as connection:
        outcome = Outcome()
        statements, _ = await right_statements(connection, names, texts, revokes=False)
        await _run(connection, outcome, statements)
        return outcome.statements


@asynccontextmanager
async def transaction(dsn: str, *, dry_run: bool = False) -> AsyncGenerator[ServerConnection]:
    """Yield a connection in a transaction, which a dry run rolls back. Raises what app.db raises if there is none."""
    # The layer says in plain words why there is none.
    async with Database(dsn, min_size=1, max_size=1):
        pass
    connection = await asyncpg.connect(dsn)
    try:
        within = connection.transaction()
        await within.start()
        try:
            await connection.execute(f"{_ALONE}; {_IN_HASTE}")
            yield connection
        except BaseException:
            await within.rollback()
            raise
        await (within.rollback() if dry_run else within.commit())
    finally:
        await connection.close()


async def as_owner(connection: ServerConnection, names: RoleNames) -> None:
    """Go on as the owner role until the transaction ends."""
    try:
        await connection.execute(f"set local role {quoted(names.owner)}")
    except asyncpg.PostgresError as error:
        raise RolesError(
            f"this login may not act as {names.owner}: {error}; connect as a superuser, or as {names.owner} itself"
        ) from None


async def _run(connection: ServerConnection, outcome: Outcome, statements: Iterable[str]) -> None:
    for statement in statements:
        await _execute(connection, statement, statement)
        outcome.statements.append(statement)


async def _execute(connection: ServerConnection, statement: str, shown: str) -> None:
    try:
        # A savepoint: the login is asked for after a failure.
        async with connection.transaction():
            await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError as error:
        login = await connection.fetchval("select session_user::text")
        raise RolesError(
            f"{login} may not: {shown}: {error}; connect as a superuser, or as a login that may create roles and owns"
            " the database"
        ) from None
    except asyncpg.PostgresError as error:
        raise RolesError(f"PostgreSQL refuses: {shown}: {error}") from None


async def _set_passwords(connection: ServerConnection, outcome: Outcome, plan: Plan) -> None:
    created = {statement.split()[2] for statement in outcome.statements if statement.startswith("create role ")}
    for kind in KINDS:
        name = plan.names.of(kind)
        password = plan.given.get(kind)
        if password is None and (kind in plan.rotate or (quoted(name) in created and not plan.given)):
            password = outcome.passwords[kind] = new_password()
        elif password is None or await _has_password(connection, name, password):
            continue
        change = f"alter role {quoted(name)} password "
        await _execute(connection, change + literal(scram_verifier(password)), change + literal(HIDDEN))
        outcome.statements.append(change + literal(HIDDEN))


async def _has_password(connection: ServerConnection, name: str, password: str) -> bool:
    """Return whether the role has this password. Only a superuser may look; for another login it is set again."""
    if not await connection.fetchval("select has_table_privilege('pg_authid', 'select')"):
        return False
    stored: str | None = await connection.fetchval("select rolpassword from pg_authid where rolname = $1", name)
    return verifies(stored, password)


async def _become_able(connection: ServerConnection, outcome: Outcome, names: RoleNames) -> None:
    """Let a login that is no superuser act as the owner, which it may have created."""
    able = "set" if connection.get_server_version().major >= 16 else "member"
    if await role_oid(connection, names.owner) and not await connection.fetchval(
        "select pg_has_role(current_user, $1, $2)", names.owner, able
    ):
        await _run(connection, outcome, [f"grant {quoted(names.owner)} to current_user"])
