"""Who owns the database, its schema and what is in it, and what everyone may do there."""

import asyncpg

from app.check.postgres.server_types import ServerConnection
from app.roles.names import RoleNames, RolesError, quoted

_DATABASE = """
select r.rolname::text as owner,
    array(
        select lower(a.privilege_type) from aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as a
        where a.grantee = 0 order by 1
    ) as public,
    array(
        select a.grantee::regrole::text from aclexplode(d.datacl) as a
        where a.privilege_type = 'CONNECT' and a.grantee <> 0
    ) as connecting
from pg_database d join pg_roles r on r.oid = d.datdba where d.datname = current_database()
"""
_SCHEMA = """
select n.oid::int8 as oid, quote_ident(n.nspname) as name, r.rolname::text as owner
from pg_namespace n join pg_roles r on r.oid = n.nspowner where n.nspname = current_schema()
"""
# What belongs to an extension stays with it; what belongs to a table, such as the sequence of a column, follows it.
_OWNED = """
with objects (class, oid, owner, statement) as (
    select 'pg_class'::regclass, c.oid, c.relowner, format('alter %s %I.%I', case c.relkind
            when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
            when 'S' then 'sequence' else 'table' end, n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relnamespace = $1::oid and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    union all
    select 'pg_proc'::regclass, p.oid, p.proowner,
        format('alter routine %I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.pronamespace = $1::oid
    union all
    select 'pg_type'::regclass, t.oid, t.typowner, format('alter type %I.%I', n.nspname, t.typname)
    from pg_type t join pg_namespace n on n.oid = t.typnamespace
    where t.typnamespace = $1::oid and (
        t.typtype in ('d', 'e') or (t.typtype = 'r')
        or (t.typtype = 'c' and exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
    )
)
select statement from objects
where owner <> (select oid from pg_roles where rolname = $2) and not exists (
    select from pg_depend d
    where d.classid = objects.class and d.objid = objects.oid and d.objsubid = 0 and (
        d.deptype = 'e' or (d.deptype in ('a', 'i') and objects.class = 'pg_class'::regclass and d.refobjsubid > 0)
    )
)
order by statement
"""
_PUBLIC_RUNS_NEW_FUNCTIONS = """
select not exists (
    select from pg_default_acl d
    where d.defaclrole = (select oid from pg_roles where rolname = $1)
        and d.defaclnamespace = 0 and d.defaclobjtype = 'f'
        and not exists (select from aclexplode(d.defaclacl) as a where a.grantee = 0)
)
"""


async def schema_oid(connection: ServerConnection) -> int:
    """Return the object id of the schema that unqualified names are created in. Raises RolesError without one."""
    return (await _schema(connection))["oid"]


async def ownership_statements(connection: ServerConnection, names: RoleNames, database: str) -> list[str]:
    """Return what makes the owner role the owner of the database, of the current schema and of what is in it."""
    schema, owner = await _schema(connection), quoted(names.owner)
    [row] = await connection.fetch(_DATABASE)
    statements = [] if row["owner"] == names.owner else [f"alter database {quoted(database)} owner to {owner}"]
    # Not by way of pg_database_owner: a copy of the database may belong to somebody else.
    if schema["owner"] != names.owner:
        statements.append(f"alter schema {schema['name']} owner to {owner}")
    owned = await connection.fetch(_OWNED, schema["oid"], names.owner)
    return [*statements, *(f"{each['statement']} owner to {owner}" for each in owned)]


async def connect_statements(connection: ServerConnection, names: RoleNames, database: str) -> list[str]:
    """Return what lets only the four roles connect, and only the owner create. Run as the owner."""
    [row] = await connection.fetch(_DATABASE)
    connecting, on = set(row["connecting"]), f"on database {quoted(database)}"
    wanted = (names.application, names.reader, names.monitor)
    statements = [f"revoke {', '.join(row['public'])} {on} from public"] if row["public"] else []
    statements += [f"grant connect {on} to {quoted(name)}" for name in wanted if quoted(name) not in connecting]
    if await connection.fetchval(_PUBLIC_RUNS_NEW_FUNCTIONS, names.owner):
        statements.append(
            f"alter default privileges for role {quoted(names.owner)} revoke execute on routines from public"
        )
    return statements


async def _schema(connection: ServerConnection) -> asyncpg.Record:
    row = await connection.fetchrow(_SCHEMA)
    if row is None:
        raise RolesError("the search_path of this login leads to no schema; create it first, or mend the address")
    return row
