"""Find the columns behind those of views: a write to an updatable view is one to the table behind it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from app.check.postgres.proofs.tree import parse_tree, single_query
from app.check.postgres.server_types import ServerConnection

Origins = Mapping[int, Mapping[int, tuple[int, int]]]
"""For a view (an OID) and the number of one of its columns: the table or view and the column that it is."""
# One with a trigger instead of the write is not written through.
_VIEWS = """
select r.ev_class::int8 as view, r.ev_action::text as tree from pg_rewrite r
join pg_class c on c.oid = r.ev_class and c.relkind = 'v'
where r.ev_type = '1' and c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    and not exists (select from pg_trigger g where g.tgrelid = c.oid and g.tgtype & 64 <> 0)
"""


async def load_origins(connection: ServerConnection) -> Origins:
    """Return the columns behind those of every user's view. Computed columns have none."""
    origins: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for row in await connection.fetch(_VIEWS):
        query = single_query(parse_tree(row["tree"]))
        for target in query.children("targetList"):
            origin = target.number("resorigtbl"), target.number("resorigcol")
            if all(origin):
                origins[row["view"]][target.number("resno")] = origin
    return origins


def behind(origins: Origins, column: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Return the columns behind this one of a view, down to the table. A column of a table has none."""
    found = origins.get(column[0], {}).get(column[1])
    if found:
        yield found
        yield from behind(origins, found)
