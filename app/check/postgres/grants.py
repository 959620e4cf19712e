"""Compare the rights that a role holds with those it is to have, and write what is to be granted and revoked."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from app.check.postgres.acl_catalog import AclCatalog
from app.check.postgres.rights import Right
from app.check.postgres.server_types import ServerConnection

# A grantee of 0 is PUBLIC, which may execute every function unless its rights say otherwise.
_HELD = """
select 'table' as kind, c.oid::int8 as object, a.privilege_type as privilege, 0::int8 as column_number
from pg_class c, aclexplode(c.relacl) as a where c.relkind <> 'S' and a.grantee = $1::oid
union all
select 'sequence', c.oid::int8, a.privilege_type, 0
from pg_class c, aclexplode(c.relacl) as a where c.relkind = 'S' and a.grantee = $1::oid
union all
select 'table', t.attrelid::int8, a.privilege_type, t.attnum
from pg_attribute t, aclexplode(t.attacl) as a where not t.attisdropped and a.grantee = $1::oid
union all
select 'routine', p.oid::int8, a.privilege_type, 0
from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a where a.grantee = $1::oid
union all
select 'schema', n.oid::int8, a.privilege_type, 0
from pg_namespace n, aclexplode(n.nspacl) as a where a.grantee = $1::oid
"""


async def held_rights(connection: ServerConnection, catalog: AclCatalog, role: int) -> frozenset[Right]:
    """Return the rights of a role, by its object id, on the user's objects; those of PUBLIC for 0."""
    rows = await connection.fetch(_HELD, role)
    rights = (Right(row["kind"], row["object"], row["privilege"], row["column_number"]) for row in rows)
    return frozenset(right for right in rights if _sql_of(catalog, right))


def grant_statements(
    catalog: AclCatalog, role: str, wanted: Iterable[Right], held: Iterable[Right], *, revokes: bool = True
) -> Iterator[str]:
    """Yield what changes the rights of a role, whose name is quoted, from those held to those wanted."""
    wanted, held = set(wanted), set(held)
    surplus = held - wanted if revokes else set[Right]()
    for target, privileges in _grouped(catalog, surplus):
        yield f"revoke {privileges} on {target} from {role}"
    # With a right on a table goes the same right on each of its columns.
    gone = {(right.kind, right.object, right.privilege) for right in surplus if not right.column}
    kept = {right for right in held - surplus if (right.kind, right.object, right.privilege) not in gone}
    for target, privileges in _grouped(catalog, wanted - kept):
        yield f"grant {privileges} on {target} to {role}"


def _grouped(catalog: AclCatalog, rights: Iterable[Right]) -> Iterator[tuple[str, str]]:
    """Yield each object with its privileges, as GRANT writes both: `table public.users`, `select (id), delete`."""
    columns: dict[tuple[str, str], list[str]] = defaultdict(list)
    for right in sorted(rights):
        name = [catalog.relations[right.object].columns[right.column]] if right.column else list[str]()
        columns[f"{right.kind} {_sql_of(catalog, right)}", _key(right)] += name
    privileges: dict[str, list[str]] = defaultdict(list)
    for (target, key), names in columns.items():
        word = key.partition(" ")[0].lower()
        privileges[target].append(f"{word} ({', '.join(names)})" if names else word)
    for target, words in privileges.items():
        yield target, ", ".join(words)


def _key(right: Right) -> str:
    return f"{right.privilege} {'of columns' if right.column else ''}"


def _sql_of(catalog: AclCatalog, right: Right) -> str:
    """Return the name of the object; empty for one that is not the user's."""
    if right.kind == "schema":
        return catalog.schemas.get(right.object, "")
    found = (catalog.functions if right.kind == "routine" else catalog.relations).get(right.object)
    return found.sql if found else ""
