"""What the checker needs to know of a migrated database: types, columns, unique indexes, strict functions."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.check.postgres.plans import Index, load_indexes
from app.check.postgres.server_types import ServerConnection, ServerType, load_types
from app.check.postgres.views import Origins, load_origins


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    """With its table: `users.bio`."""
    not_null: bool
    fills_itself: bool
    """Whether an insert that omits it may give it a value: by its default, its domain's default, or a trigger."""
    is_unique_by_default: bool
    """Whether that value is a new one every time."""
    generated_from: frozenset[int]
    """The numbers of the columns that a generated one is computed from."""


@dataclass(frozen=True, slots=True)
class UniqueIndex:
    """A unique constraint or index. `constraint` is the number (OID) of the constraint, 0 for an index without one."""

    name: str
    columns: frozenset[int]
    nulls_collide: bool
    is_computed: bool
    """Whether it is of an expression, such as lower(email), and not of mere columns."""
    constraint: int


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of a database when it was loaded. Tables are OIDs, columns are numbers within a table."""

    type_of: Callable[[int], ServerType]
    tables: Mapping[int, Mapping[int, Column]]
    unique: Mapping[int, tuple[UniqueIndex, ...]]
    strict_functions: frozenset[int]
    indexes: Mapping[str, Index]
    origins: Origins
    """The columns behind those of views."""
    ancestors: Mapping[str, tuple[str, ...]]
    """The partitioned tables that a partition belongs to, by name."""
    constraints: frozenset[str]
    """The names of all constraints and unique indexes, and of those that functions raise."""

    def column(self, table: int, number: int) -> Column | None:
        """Return a column of a user's table; None for anything else, such as a system column."""
        return self.tables.get(table, {}).get(number)


async def load_schema(connection: ServerConnection) -> Schema:
    """Load the schema of this connection's database."""
    strict = await connection.fetch("select oid from pg_proc where proisstrict")
    constraints = await connection.fetch(_CONSTRAINTS)
    return Schema(
        type_of=await load_types(connection),
        tables=await _tables(connection),
        unique=await _unique(connection),
        strict_functions=frozenset(row["oid"] for row in strict),
        indexes=await load_indexes(connection),
        origins=await load_origins(connection),
        ancestors={row["name"]: tuple(row["ancestors"]) for row in await connection.fetch(_ANCESTORS)},
        constraints=frozenset(row["name"] for row in constraints),
    )


_COLUMNS = r"""
select
    a.attrelid as table,
    a.attnum as number,
    format('%s.%s', c.oid::regclass, quote_ident(a.attname)) as name,
    a.attnotnull as not_null,
    a.atthasdef or a.attidentity <> '' or t.typdefault is not null or exists (
        -- A row trigger that fires before an insert.
        select from pg_trigger g
        where g.tgrelid = c.oid and not g.tgisinternal and g.tgenabled <> 'D' and g.tgtype & 7 = 7
    ) as fills_itself,
    a.attidentity <> '' or coalesce(pg_get_expr(d.adbin, d.adrelid) ~ '(nextval|random_uuid|uuidv\d)\(', false)
        as is_unique_by_default,
    array(
        select p.refobjsubid from pg_depend p
        where p.classid = 'pg_attrdef'::regclass and p.objid = d.oid and p.refobjid = c.oid
            and p.refobjsubid not in (0, a.attnum) and a.attgenerated <> ''
    ) as generated_from
from pg_attribute a
join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'v', 'f', 'm')
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attnum > 0 and not a.attisdropped
    and c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
"""

# A constraint is recorded between its index and the columns; a plain index refers to them itself.
_UNIQUE = """
select
    i.indrelid as table,
    c.relname as name,
    array(
        select unnest(i.indkey::int2[])::int4
        union
        select p.refobjsubid from pg_depend p
        where p.classid = 'pg_class'::regclass and p.objid = i.indexrelid and p.refobjid = i.indrelid
    ) as columns,
    i.indnullsnotdistinct as nulls_collide,
    i.indexprs is not null as is_computed,
    coalesce((select k.oid from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u')), 0)
        as constraint
from pg_index i
join pg_class c on c.oid = i.indexrelid
where i.indisunique and c.relnamespace <> 'pg_catalog'::regnamespace
order by c.relname
"""

_ANCESTORS = """
select p.relname::text as name, array(
    select a.relname::text from pg_partition_ancestors(p.oid) as t (oid) join pg_class a on a.oid = t.oid::oid
    where a.oid <> p.oid
) as ancestors
from pg_class p where p.relispartition and p.relkind in ('r', 'p', 'f')
"""

# A function in a procedural language can raise an error in the name of a constraint.
_CONSTRAINTS = r"""
select conname::text as name from pg_constraint
union select relname::text from pg_class join pg_index on indexrelid = pg_class.oid where indisunique
union select found[1] from pg_proc p
    join pg_language l on l.oid = p.prolang and l.lanname not in ('c', 'internal'),
    regexp_matches(p.prosrc, 'constraint\s*=\s*''([^'']+)''', 'gi') as found
"""


async def _tables(connection: ServerConnection) -> dict[int, dict[int, Column]]:
    tables: dict[int, dict[int, Column]] = defaultdict(dict)
    for row in await connection.fetch(_COLUMNS):
        tables[row["table"]][row["number"]] = Column(
            row["name"],
            row["not_null"],
            row["fills_itself"],
            row["is_unique_by_default"],
            frozenset(row["generated_from"]),
        )
    return tables


async def _unique(connection: ServerConnection) -> dict[int, tuple[UniqueIndex, ...]]:
    unique: dict[int, tuple[UniqueIndex, ...]] = defaultdict(tuple)
    for row in await connection.fetch(_UNIQUE):
        columns = frozenset(row["columns"]) - {0}
        rest = row["nulls_collide"], row["is_computed"], row["constraint"]
        unique[row["table"]] += (UniqueIndex(row["name"], columns, *rest),)
    return unique
