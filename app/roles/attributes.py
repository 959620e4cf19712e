"""What a role is, apart from its rights on tables: login, limits, settings and memberships."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from app.check.postgres.server_types import ServerConnection
from app.roles.names import RoleNames, literal, quoted

# What no role here is: each word is written only to take it away, since even to write it takes a superuser.
_NEVER = {
    "rolsuper": "nosuperuser",
    "rolcreaterole": "nocreaterole",
    "rolcreatedb": "nocreatedb",
    "rolreplication": "noreplication",
    "rolbypassrls": "nobypassrls",
}
_ROLE = """
select r.oid::int8 as oid, r.rolcanlogin, r.rolinherit, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication,
    r.rolbypassrls, r.rolconnlimit,
    coalesce((
        select s.setconfig from pg_db_role_setting s
        where s.setrole = r.oid and s.setdatabase = (select oid from pg_database where datname = current_database())
    ), '{}') as settings
from pg_roles r where r.rolname = $1
"""
_MEMBERSHIPS = """
select r.rolname::text as role, m.grantor::regrole::text as grantor
from pg_auth_members m join pg_roles r on r.oid = m.roleid where m.member = $1::oid order by 1, 2
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a reader may take of the server."""

    statement_seconds: int = 30
    """Seconds after which a statement is cancelled."""
    idle_seconds: int = 60
    """Seconds after which a transaction that does nothing is ended."""
    connections: int = 5


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a role is to be."""

    name: str
    connections: int = -1
    """The most connections at once; -1: no limit."""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Those of its sessions in this database."""
    member_of: frozenset[str] | None = frozenset()
    """The roles whose rights it has, and no others; None: whatever it is a member of."""


def wanted_attributes(names: RoleNames, limits: Limits) -> list[Attributes]:
    """Return what the four roles are to be."""
    reading = {
        "statement_timeout": f"{limits.statement_seconds}s",
        "idle_in_transaction_session_timeout": f"{limits.idle_seconds}s",
        "default_transaction_read_only": "on",
    }
    return [
        Attributes(names.owner, member_of=None),
        Attributes(names.application),
        Attributes(names.reader, limits.connections, reading),
        Attributes(names.monitor, limits.connections, member_of=frozenset({"pg_monitor"})),
    ]


async def role_oid(connection: ServerConnection, name: str) -> int | None:
    """Return the object id of a role; None if there is none."""
    return await connection.fetchval("select oid::int8 from pg_roles where rolname = $1", name)


async def attribute_statements(connection: ServerConnection, wanted: Attributes, database: str) -> list[str]:
    """Return what makes the role what it is to be; nothing if it is."""
    row = await connection.fetchrow(_ROLE, wanted.name)
    role, limit = quoted(wanted.name), f"connection limit {wanted.connections}"
    if row is None:
        statements = [f"create role {role} login {limit if wanted.connections >= 0 else ''}".rstrip()]
        held, settings = list[tuple[str, str]](), dict[str, str]()
    else:
        words = [word for column, word in _NEVER.items() if row[column]]
        words += [word for column, word in (("rolcanlogin", "login"), ("rolinherit", "inherit")) if not row[column]]
        words += [limit] if row["rolconnlimit"] != wanted.connections else []
        statements = [f"alter role {role} {' '.join(words)}"] if words else []
        settings = dict(setting.split("=", 1) for setting in row["settings"])
        held = [(each["role"], each["grantor"]) for each in await connection.fetch(_MEMBERSHIPS, row["oid"])]
    for name, value in wanted.settings.items():
        if settings.get(name) != value:
            statements.append(f"alter role {role} in database {quoted(database)} set {name} to {literal(value)}")
    return [*statements, *_membership_statements(wanted, held)]


def _membership_statements(wanted: Attributes, held: list[tuple[str, str]]) -> Iterator[str]:
    if wanted.member_of is None:
        return
    for other, grantor in held:
        if other not in wanted.member_of:
            yield f"revoke {quoted(other)} from {quoted(wanted.name)} granted by {grantor}"
    for other in sorted(wanted.member_of - {name for name, _ in held}):
        yield f"grant {quoted(other)} to {quoted(wanted.name)}"
