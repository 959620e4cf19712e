"""What the columns of relations, read and written, let be null."""

import asyncpg
import pytest

from app.check.postgres.proofs.nullability import never_null_columns
from tests.check.proofs import Prove


async def test_a_view_is_as_its_query(prove: Prove, connection: asyncpg.Connection) -> None:
    await connection.execute("create view v as select a.n, b.t from a left join b on b.a_id = a.id")
    await connection.execute("create view w as select v.*, count(*) over () from v where t <> ''")
    await connection.execute("create materialized view m as select n from a")
    assert await prove("select * from v") == [True, False]
    assert await prove("select * from w") == [True, True, True]
    assert await prove("select n from a left join v using (n)") == [True]
    assert await prove("select v.n from a left join v on v.n = a.x") == [False]
    assert await prove("select * from m") == [False]


async def test_a_domain_does_not_keep_null_out(prove: Prove, connection: asyncpg.Connection) -> None:
    await connection.execute("create domain sure as int not null; create table d (x sure, y sure not null)")
    await connection.execute("insert into d values ((select x from d), 1)")
    assert await prove("select x, y, y::int::sure, x::int from d") == [False, True, True, False]


async def test_a_parent_is_as_its_children_are(prove: Prove, connection: asyncpg.Connection) -> None:
    await connection.execute("create table p (id int not null, n int not null, c int)")
    await connection.execute("create table q () inherits (p)")
    assert await prove("select id, n, c from p") == [True, True, False]
    if connection.get_server_version() < (18,):
        await connection.execute("alter table q alter n drop not null")
    else:
        await connection.execute(
            "alter table p alter constraint p_n_not_null no inherit; alter table q alter n drop not null"
        )
    await connection.execute("insert into q values (1, null, 1)")
    assert await prove("select id, n, c from p") == [True, False, False]


async def test_a_partitioned_table_is_as_its_partitions_are(prove: Prove, connection: asyncpg.Connection) -> None:
    await connection.execute("create table p (id int not null, n int) partition by list (id)")
    await connection.execute("create table p1 partition of p for values in (1)")
    assert await prove("select id, n from p") == [True, False]
    await connection.execute("create foreign data wrapper far; create server other foreign data wrapper far")
    await connection.execute("create foreign table f partition of p for values in (2) server other")
    assert await never_null_columns(connection, "select id, n from p", []) == [False, False]
    assert await never_null_columns(connection, "select id, n from f", []) == [False, False]


async def test_a_constraint_that_is_not_validated_proves_nothing(prove: Prove, connection: asyncpg.Connection) -> None:
    if connection.get_server_version() < (18,):
        await connection.execute("alter table a add constraint positive check (x is not null) not valid")
        assert await prove("select x from a") == [False]
        return
    await connection.execute("alter table a add constraint a_x_not_null not null x not valid")
    assert await prove("select x from a") == [False]
    await connection.execute("update a set x = 1; alter table a validate constraint a_x_not_null")
    assert await prove("select x from a") == [True]


async def test_a_generated_column_is_as_it_is_declared_if_it_is_stored(
    prove: Prove, connection: asyncpg.Connection
) -> None:
    await connection.execute("create table g (n int, s int generated always as (n + 1) stored not null)")
    assert await prove("select n, s from g") == [False, True]
    if connection.get_server_version() >= (18,):
        await connection.execute("create table h (n int, v int not null generated always as (n + 1) virtual)")
        assert await prove("select n, v from h") == [False, False]


async def test_whole_rows_and_system_columns_are_not_looked_into(prove: Prove) -> None:
    assert await prove("select a, a.ctid, a.tableoid, (a).n from a") == [False, False, False, True]


async def test_a_written_row_is_as_its_table_declares(prove: Prove) -> None:
    assert await prove("insert into a values (5, 5) returning *") == [True, True, False, False]
    assert await prove("insert into a select 7, 7, 7 on conflict (id) do update set x = null returning n, x") == [
        True,
        False,
    ]
    assert await prove("delete from a using b where b.id = a.id returning a.n, b.t, b.a_id") == [True, True, False]


async def test_returning_shows_the_row_after_its_conditions(prove: Prove) -> None:
    assert await prove("update a set x = null where x is not null returning x, n") == [False, True]
    text = "update a set x = null from b where b.id = a.id and b.a_id = a.n and a.x is null returning x, b.a_id"
    assert await prove(text) == [False, True]
    assert await prove(
        "update a set n = 3 from b left join a as c on c.id = b.a_id where b.id = a.id returning c.n"
    ) == [False]


async def test_old_and_new_rows_are_there_as_the_command_has_them(prove: Prove, connection: asyncpg.Connection) -> None:
    if connection.get_server_version() < (18,):
        with pytest.raises(asyncpg.PostgresError):
            await prove("update a set n = 3 returning old.n")
        return
    assert await prove("update a set n = 3 returning old.n, new.n, old.x") == [True, True, False]
    assert await prove("insert into a values (5, 5) returning old.n, new.n") == [False, True]
    assert await prove("insert into a values (1, 5) on conflict (id) do update set n = 3 returning old.n, new.n") == [
        False,
        True,
    ]
    assert await prove("delete from a returning old.n, new.n") == [True, False]


async def test_merge_returns_the_target_and_perhaps_no_source(prove: Prove, connection: asyncpg.Connection) -> None:
    merge = "merge into a using b on b.id = a.id when matched then delete"
    if connection.get_server_version() < (17,):
        with pytest.raises(asyncpg.PostgresError):
            await prove(f"{merge} returning a.n")
        return
    assert await prove(f"{merge} when not matched by source then delete returning a.n, b.id") == [True, False]
    assert await prove(f"{merge} returning merge_action(), b.id") == [True, False]


async def test_merge_names_what_it_did(prove: Prove, connection: asyncpg.Connection) -> None:
    if connection.get_server_version().major >= 17:
        merge = "merge into a using b on a.id = b.id when matched then delete when not matched then do nothing"
        assert await prove(f"{merge} returning merge_action(), lower(merge_action())") == [True, True]


async def test_what_is_written_through_a_view_or_rule_can_return_anything(
    prove: Prove, connection: asyncpg.Connection
) -> None:
    await connection.execute("""
        create view v as select id, n from a;
        create function forget() returns trigger language plpgsql as 'begin new.n := null; return new; end';
        create trigger forget instead of insert on v for each row execute function forget();
        create table ruled (id int not null);
        create rule ruled_insert as on insert to ruled do instead insert into a values (8, 8) returning null::int;
    """)
    assert await prove("insert into v values (7, 7) returning *") == [False, False]
    assert await prove("insert into ruled values (1) returning id") == [False]
