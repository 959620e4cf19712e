"""Find which columns a statement reads and writes, by the dependencies that PostgreSQL records."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.check.postgres.proofs.kinds import Command
from app.check.postgres.proofs.tree import Node, Value, walk
from app.check.postgres.schema import Schema
from app.check.postgres.server_types import ServerConnection
from app.check.postgres.views import behind
from app.check.postgres.writes import written_columns

Column = tuple[int, int]
"""A table or view and the number of one of its columns."""
_TABLE = 0
# A join and `excluded` list the columns that they have, whether used or not.
_LISTS_EVERYTHING = frozenset(("joinaliasvars", "exclRelTlist"))

# A view stands for the columns that it reads, directly or through other views.
_DEPENDENCIES = """
with recursive touched (class, object, part) as (
    select refclassid, refobjid, refobjsubid from pg_depend
    where classid = 'pg_proc'::regclass and objid = $1::oid
    union
    select d.refclassid, d.refobjid, d.refobjsubid
    from touched
    join pg_rewrite r on r.ev_class = touched.object and touched.class = 'pg_class'::regclass
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refobjid <> r.ev_class
)
select class = 'pg_proc'::regclass as is_function, object, part,
    case when class = 'pg_proc'::regclass then object::regprocedure::text end as function
from touched
where class = 'pg_proc'::regclass or (class = 'pg_class'::regclass and part > 0)
"""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Columns as `users.bio`, sorted."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    calls: tuple[str, ...]
    """Functions of the user that it calls, which may read and write what they like."""


async def lineage(connection: ServerConnection, schema: Schema, function: int, tree: Node) -> Lineage:
    """Return what a statement, the body of the function with this OID, depends on and writes."""
    rows = await connection.fetch(_DEPENDENCIES, function)
    touched = {(row["object"], row["part"]) for row in rows if not row["is_function"]}
    written = written_columns(tree) | set(_deleted(tree, schema))
    used = set(_with_whole_rows(_read(tree, ()), schema))
    read = (touched - written - set(_excluded(tree))) | used
    return Lineage(
        _names(schema, read | set(_sources(read, schema))),
        _names(schema, written | {found for each in written for found in behind(schema.origins, each)}),
        tuple(sorted(row["function"] for row in rows if row["is_function"])),
    )


def _deleted(tree: Node, schema: Schema) -> Iterator[Column]:
    """Return all columns of the tables that the statement deletes from."""
    for query in walk(tree):
        if query.tag == "QUERY" and _deletes(query):
            table = query.children("rtable")[query.number("resultRelation") - 1].number("relid")
            yield from ((table, number) for number in schema.tables.get(table, {}))


def _deletes(query: Node) -> bool:
    if query.number("commandType") == Command.MERGE:
        return any(action.number("commandType") == Command.DELETE for action in query.children("mergeActionList"))
    return query.number("commandType") == Command.DELETE


def _with_whole_rows(columns: Iterable[Column], schema: Schema) -> Iterator[Column]:
    """Return the columns, with all columns for a whole row, as in `select p from people as p`."""
    for table, number in columns:
        yield from [(table, number)] if number else ((table, each) for each in schema.tables.get(table, {}))


def _sources(columns: Iterable[Column], schema: Schema) -> Iterator[Column]:
    """Return the columns that generated ones are computed from."""
    for table, number in columns:
        column = schema.column(table, number)
        yield from ((table, source) for source in (column.generated_from if column else ()))


def _excluded(tree: Node) -> Iterator[Column]:
    """Return all columns that `excluded` in `on conflict` has, used or not."""
    for query in walk(tree):
        conflict = query.child("onConflict") if query.tag == "QUERY" else None
        if conflict is not None and conflict.has("exclRelTlist"):
            for target in conflict.children("exclRelTlist"):
                yield from _read(target, (query,))


def _names(schema: Schema, columns: set[Column]) -> tuple[str, ...]:
    found = (schema.column(table, number) for table, number in columns)
    return tuple(sorted(column.name for column in found if column is not None))


def _read(value: Value, queries: tuple[Node, ...]) -> Iterator[Column]:
    """Return the table columns whose values the tree uses. `queries` are those around it, the innermost first."""
    if isinstance(value, list):
        for item in value:
            yield from _read(item, queries)
        return
    if not isinstance(value, Node):
        return
    if value.tag == "VAR" and queries:
        tables = queries[value.number("varlevelsup")].children("rtable")
        table = tables[value.number("varno") - 1]
        if table.number("rtekind") == _TABLE:
            yield table.number("relid"), value.number("varattno")
    inner = (value, *queries) if value.tag == "QUERY" else queries
    for name, item in value.fields.items():
        if name not in _LISTS_EVERYTHING:
            yield from _read(item, inner)
