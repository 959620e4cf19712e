"""Load what a right may be needed on: relations, their columns, functions, and what a write to a table runs."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.check.postgres.proofs.tree import Value, parse_tree
from app.check.postgres.server_types import ServerConnection

_RELATIONS = r"""
select c.oid::int8 as oid, n.oid::int8 as schema, c.relname, c.relkind::text as kind, r.ev_action::text as tree,
    format('%I.%I', n.nspname, c.relname) as sql, coalesce(
    'security_invoker=true' = any (c.reloptions) or 'security_invoker=on' = any (c.reloptions), false) as as_invoker,
    array(
        select quote_ident(a.attname) from pg_attribute a
        where a.attrelid = c.oid and not a.attisdropped order by a.attnum
    ) as columns,
    array(
        select a.attnum::int8 from pg_attribute a where a.attrelid = c.oid and not a.attisdropped order by a.attnum
    ) as numbers,
    array(
        select d.objsubid::int8 from pg_description d
        where d.classoid = 'pg_class'::regclass and d.objoid = c.oid and d.objsubid > 0 and d.description ~ '^secret\M'
    ) as secret
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join pg_rewrite r on r.ev_class = c.oid and r.ev_type = '1' and c.relkind in ('v', 'm')
where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (
        select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
"""
_FUNCTIONS = """
select p.oid::int8 as oid, n.oid::int8 as schema, p.oid::regprocedure::text as name, p.proname, p.prosrc,
    format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) as sql,
    l.lanname in ('c', 'internal') or p.prosecdef or p.prosqlbody is not null as is_clear, p.prosecdef as as_owner,
    p.prosqlbody::text as tree,
    exists (select from unnest(p.proconfig) as setting where setting like 'search_path=%') as has_path
from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    and not exists (
        select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
    )
"""
_SCHEMAS = """
select oid::int8 as oid, quote_ident(nspname) as sql from pg_namespace
where nspname !~ '^pg_' and nspname <> 'information_schema'
"""
# What an index, a default, a constraint or a condition of a trigger calls is called by the one who writes.
_CALLED_BY_WRITES = """
with parts (relation, class, object) as (
    select indrelid, 'pg_class'::regclass, indexrelid from pg_index
    union all select adrelid, 'pg_attrdef'::regclass, oid from pg_attrdef
    union all select conrelid, 'pg_constraint'::regclass, oid from pg_constraint where conrelid <> 0
    union all select tgrelid, 'pg_trigger'::regclass, oid from pg_trigger where not tgisinternal
    union all
    select a.attrelid, 'pg_constraint'::regclass, c.oid
    from pg_constraint c join pg_attribute a on a.atttypid = c.contypid
)
select p.relation::int8 as relation, d.refobjid::int8 as object, d.refclassid = 'pg_class'::regclass as is_sequence
from parts p join pg_depend d on d.classid = p.class and d.objid = p.object
where (
        d.refclassid = 'pg_proc'::regclass
        and not exists (select from pg_trigger t where t.oid = p.object and t.tgfoid = d.refobjid)
    )
    or (
        d.refclassid = 'pg_class'::regclass
        and exists (select from pg_class s where s.oid = d.refobjid and s.relkind = 'S')
    )
"""
_TRIGGERS = """
select tgrelid::int8 as relation, tgfoid::int8 as function, tgtype::int as events from pg_trigger
where not tgisinternal and tgenabled <> 'D'
"""
EVENTS = {"INSERT": 4, "DELETE": 8, "UPDATE": 16}
"""The bits of pg_trigger.tgtype."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view or sequence of the user."""

    schema: int
    name: str
    sql: str
    """Its name with its schema, quoted where that is necessary."""
    kind: str
    columns: Mapping[int, str]
    """Quoted names by number; system columns have negative ones."""
    secret: frozenset[int] = frozenset()
    """The columns whose comment begins with `secret`."""
    tree: Value = None
    """The query of a view."""
    as_invoker: bool = False
    """Whether a view reads with the rights of the one who asks."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the user, those of extensions left out."""

    schema: int
    name: str
    """With its argument types, as regprocedure shows it."""
    sql: str
    short_name: str
    source: str
    is_clear: bool
    """Whether PostgreSQL knows what its body uses, or it runs with its owner's rights."""
    as_owner: bool
    has_path: bool
    """Whether it sets search_path for itself."""
    tree: Value = None
    """The body of a function in SQL that PostgreSQL keeps parsed."""


@dataclass(frozen=True, slots=True)
class AclCatalog:
    """Everything of a database on which a right may be needed, by object id."""

    relations: Mapping[int, Relation]
    functions: Mapping[int, Function]
    schemas: Mapping[int, str]
    """Their quoted names."""
    called_by_writes: Mapping[int, Sequence[int]] = field(default_factory=dict[int, Sequence[int]])
    """For a table, the functions and sequences that its indexes, defaults, constraints and conditions use."""
    triggers: Mapping[int, Sequence[tuple[int, int]]] = field(default_factory=dict[int, Sequence[tuple[int, int]]])
    """For a table, the functions of its triggers with their events."""

    def fired(self, relation: int, privilege: str) -> Iterator[int]:
        """Return the functions of the triggers that a write of this kind fires."""
        for function, events in self.triggers.get(relation, ()):
            if events & EVENTS.get(privilege, 0):
                yield function


async def load_acl_catalog(connection: ServerConnection) -> AclCatalog:
    """Load it from the database of this connection."""
    called: dict[int, list[int]] = defaultdict(list)
    triggers: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for row in await connection.fetch(_CALLED_BY_WRITES):
        called[row["relation"]].append(row["object"])
    for row in await connection.fetch(_TRIGGERS):
        triggers[row["relation"]].append((row["function"], row["events"]))
    relations = {
        row["oid"]: Relation(
            row["schema"],
            row["relname"],
            row["sql"],
            row["kind"],
            dict(zip(row["numbers"], row["columns"], strict=True)),
            frozenset(row["secret"]),
            parse_tree(row["tree"]) if row["tree"] else None,
            row["as_invoker"],
        )
        for row in await connection.fetch(_RELATIONS)
    }
    functions = {
        row["oid"]: Function(
            row["schema"], row["name"], row["sql"], row["proname"], row["prosrc"], row["is_clear"], row["as_owner"],
            row["has_path"], parse_tree(row["tree"]) if row["tree"] else None,
        )
        for row in await connection.fetch(_FUNCTIONS)
    }  # fmt: skip
    schemas = {row["oid"]: row["sql"] for row in await connection.fetch(_SCHEMAS)}
    return AclCatalog(relations, functions, schemas, called, triggers)
