"""Which columns a statement reads and writes, by what PostgreSQL records that it depends on."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.check.proofs.tree import Node, Value, walk
from app.check.schema import Schema
from app.check.types import Connection
from app.check.writes import written_columns

_TABLE = 0
# A join and `excluded` list the columns that they have, whether used or not.
_LISTS_EVERYTHING = frozenset(("joinaliasvars", "exclRelTlist"))

# A view stands for the columns that it reads, be it through other views.
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


async def lineage(connection: Connection, schema: Schema, function: int, tree: Node) -> Lineage:
    """What the statement that is the body of this function (an OID) depends on, and what of it it writes."""
    rows = await connection.fetch(_DEPENDENCIES, function)
    touched = {(row["object"], row["part"]) for row in rows if not row["is_function"]}
    written = written_columns(tree)
    read = (touched - written - set(_excluded(tree))) | (touched & set(_read(tree, ())))
    return Lineage(
        _names(schema, read),
        _names(schema, written),
        tuple(sorted(row["function"] for row in rows if row["is_function"])),
    )


def _excluded(tree: Node) -> Iterator[tuple[int, int]]:
    """The columns that `excluded` in `on conflict` has, whether used or not."""
    for query in walk(tree):
        conflict = query.child("onConflict") if query.tag == "QUERY" else None
        if conflict is not None and conflict.has("exclRelTlist"):
            for target in conflict.children("exclRelTlist"):
                yield from _read(target, (query,))


def _names(schema: Schema, columns: set[tuple[int, int]]) -> tuple[str, ...]:
    found = (schema.column(table, number) for table, number in columns)
    return tuple(sorted(column.name for column in found if column is not None))


def _read(value: Value, queries: tuple[Node, ...]) -> Iterator[tuple[int, int]]:
    """The columns of tables whose values the tree uses; `queries` are those around it, the innermost first."""
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
