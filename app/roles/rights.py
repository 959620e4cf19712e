"""What each role may do in the database: the application what its statements need, the reader read."""

from collections.abc import Iterator, Mapping

import asyncpg

from app.check.postgres.acl_catalog import AclCatalog, load_acl_catalog
from app.check.postgres.grants import grant_statements, held_rights
from app.check.postgres.proofs.tree import Node
from app.check.postgres.rights import Right, load_trees, needed_rights, with_what_they_need
from app.check.postgres.server_types import ServerConnection
from app.roles.attributes import role_oid
from app.roles.names import RoleNames, quoted
from app.roles.ownership import schema_oid


async def right_statements(
    connection: ServerConnection, names: RoleNames, texts: Mapping[str, str], *, revokes: bool
) -> tuple[list[str], dict[str, str]]:
    """Return what gives each role its rights, and with `revokes` takes all others away. Run as the owner.

    `texts` are the statements of the service with `$1` …, by name. The second result is what the server says of those
    that it does not understand: then nothing is taken away, since they may need it.
    """
    schema = await schema_oid(connection)
    trees, refused = await _trees(connection, texts)
    revokes = revokes and not refused
    catalog = await load_acl_catalog(connection)
    usage = {Right("schema", schema, "USAGE")}
    wanted = {
        names.application: needed_rights(catalog, trees).rights | usage,
        names.reader: with_what_they_need(catalog, readable(catalog, schema)).rights | usage,
        # For the views of extensions, which show a member of pg_monitor everything.
        names.monitor: usage,
    }
    statements = list[str]()
    if revokes:
        public = {right for right in await held_rights(connection, catalog, 0) if is_in(catalog, right, schema)}
        statements += grant_statements(catalog, "public", (), public)
    for name, rights in wanted.items():
        if (role := await role_oid(connection, name)) is not None:
            held = await held_rights(connection, catalog, role)
            statements += grant_statements(catalog, quoted(name), rights, held, revokes=revokes)
    return statements, refused


async def _trees(connection: ServerConnection, texts: Mapping[str, str]) -> tuple[list[Node], dict[str, str]]:
    trees, refused = list[Node](), dict[str, str]()
    for name, text in texts.items():
        try:
            async with connection.transaction():
                trees += await load_trees(connection, [text])
        except asyncpg.PostgresError as error:
            refused[name] = " ".join(str(error).split())
    return trees, refused


def readable(catalog: AclCatalog, schema: int) -> Iterator[Right]:
    """Yield the right to read each table and view of the schema: whole, or by column where one is secret."""
    for number, relation in catalog.relations.items():
        if relation.schema != schema or relation.kind == "S":
            continue
        if not relation.secret:
            yield Right("table", number, "SELECT")
            continue
        for column in relation.columns:
            if column > 0 and column not in relation.secret:
                yield Right("table", number, "SELECT", column)


def is_in(catalog: AclCatalog, right: Right, schema: int) -> bool:
    """Return whether a right is on something of this schema, or on the schema itself."""
    if right.kind == "schema":
        return right.object == schema
    owner = catalog.functions if right.kind == "routine" else catalog.relations
    return owner[right.object].schema == schema
