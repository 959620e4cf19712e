"""A small schema for the fuzz run: tables full of nulls, and every way known for a column to look as if it had none."""

import asyncpg

# An empty scalar subquery puts a null into a column whose type is NOT NULL, past the type's own check.
_EVERY_VERSION = """
create domain sure as int not null;
create table links (id int, size int not null, label text, primary key (id, size));
insert into links values (1, 1, null), (1, 2, 'b'), (2, 1, 'c'), (3, 3, null);
create table people (
    id int primary key, boss int, name text not null, nick text, born timestamp, active bool not null, marks int[]
);
insert into people values
    (1, null, 'ann', null, 'infinity', true, '{}'), (2, 1, '', 'bob', null, false, '{1,null}'),
    (3, 1, 'Cem', '', '2020-02-02', true, null), (4, 9, 'dee', null, '-infinity', false, '{7}');
create table things (
    id int generated always as identity primary key, owner int, label text not null, size int, ok bool,
    made timestamp not null, parts int[] not null, twice int generated always as (nullif(size, 4) * 2) stored,
    unique (label)
);
insert into things (owner, label, size, ok, made, parts) values
    (1, 'hat', null, null, 'infinity', '{}'), (null, 'cup', 2, true, '2021-01-01', '{null}'),
    (3, 'pen', 4, false, '2022-01-01', '{1,2}'), (7, 'box', 1, null, '-infinity', '{3}');
create table nothing (id int not null, size int not null, label text, active bool not null);
create table doubtful (id int primary key, given sure);
insert into doubtful values (1, 1), (2, 2);
insert into doubtful values (3, (select given from doubtful where id = 9));
create table pieces (id int not null, size int not null, label text) partition by list (id);
create table piece_1 partition of pieces for values in (1);
create table piece_2 partition of pieces default;
insert into pieces values (1, 1, null), (2, 2, 'b');
create view pairs as
    select people.id, people.name, things.label, things.size, people.active
    from people left join things on things.owner = people.id;
create view owners as
    select owner as id, count(*)::int as number, max(label) as label, max(size) as size from things group by owner;
create view matched as
    select people.id, things.label, things.ok from people join things on things.owner = people.id where things.ok;
create view totals as
    select active, name as label, max(id) as id from people group by rollup (active, name);
create view plain as select id, name, active, boss from people;
create function empty_row() returns trigger language plpgsql as 'begin new.name := null; return new; end';
create trigger plain_insert instead of insert on plain for each row execute function empty_row();
create materialized view stored as select id, name as label from people;
create table ruled (id int not null, label text not null);
insert into ruled values (1, 'a');
create rule ruled_insert as on insert to ruled do instead
    insert into nothing values (new.id, 1, 'x', true) returning null::int, null::text;
create function unlikely(int) returns int language sql immutable strict as 'select nullif($1, 2)';
"""
_BEFORE_18 = """
create table parents (id int not null, size int not null);
create table children () inherits (parents);
alter table children alter size drop not null;
insert into parents values (1, 1);
insert into children values (2, null);
"""
_FROM_18 = """
create table parents (id int not null, size int, constraint parents_size_not_null not null size no inherit);
create table children () inherits (parents);
insert into parents values (1, 1);
insert into children values (2, null);
create table late (id int not null, size int);
insert into late values (1, null), (2, 2);
alter table late add constraint late_size_not_null not null size not valid;
create table derived (id int not null, size int generated always as (nullif(id, 2)) virtual);
insert into derived values (1), (2);
"""
_COLUMNS = """
select relname, attname, format_type(atttypid, null) from pg_attribute join pg_class on pg_class.oid = attrelid
where relnamespace = $1::regnamespace and relkind in ('r', 'v', 'm', 'p') and attnum > 0
order by relname, attnum
"""
_TYPES = {
    "integer": "int", "sure": "int", "integer[]": "int[]", "text": "text", "boolean": "bool",
    "timestamp without time zone": "timestamp",
}  # fmt: skip


async def create_schema(connection: asyncpg.Connection, name: str) -> dict[str, list[tuple[str, str]]]:
    """Create the schema and make it the connection's own: the columns of each relation, with their types."""
    await connection.execute(f"create schema {name}; set search_path = {name}")
    await connection.execute(_EVERY_VERSION)
    await connection.execute(_FROM_18 if connection.get_server_version() >= (18,) else _BEFORE_18)
    relations: dict[str, list[tuple[str, str]]] = {}
    for relation, column, type_ in await connection.fetch(_COLUMNS, name):
        relations.setdefault(relation, []).append((column, _TYPES[type_]))
    return relations
