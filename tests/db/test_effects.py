"""What is known of a statement by its text: a wrong "harmless" is a bug, a wrong "touches" costs a reset."""

from __future__ import annotations

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.sql.effects import HARMLESS_FUNCTIONS, effects_of, outlives_reset
from app.db.sql.session_state import session_state

HARMLESS_READS = [
    "select 1",
    "select count(*), max(id) from users where id in (select id from users) and exists (select from users)",
    "select lower(name), coalesce(bio, '') from users order by id limit 10",
    "select array(select tag from tags), array_agg(tag) filter (where id > 1) over (partition by id) from tags",
    "with recursive t (n) as (values (1) union all select n + 1 from t where n < 5) select n from t",
    "with t as materialized (select 1), u as not materialized (select 2) select * from t join (select 1) v on true",
    "select cast('1' as numeric(10, 2)), '1'::varchar(3), '1'::character varying (3), x::bit varying(3) from t",
    "select extract(year from now()), substring(x from 2), trim(both 'x' from x), position('a' in x) from t",
    "select * from t group by grouping sets ((a), (b)), a having (count(*) > 1)",
    "select pg_catalog.count(*), row_number() over (order by id) from t window w as (partition by id)",
    "table users",
    "values (1), (2)",
    "select 'set_config(''a'', ''b'', false)', $$select nextval('s')$$ -- nextval('s')",
    "select /* set_config('a', 'b') */ 1",
    "select x from t where x like ('a%') or x = any(array['a'])",
]
HARMLESS_WRITES = [
    "insert into users (name, email) values ('a', 'b') on conflict (email) do update set name = 'c' returning id",
    "update users set name = 'a' where id = 1",
    "delete from users using follows where (users.id) = follows.id",
    "merge into t using u on (t.id = u.id) when matched then update set a = 1",
    "select 1 from users for update",
    "select 1 from users for no key update skip locked",
    "select 1 from users for key share",
    "with gone as (delete from users returning id) select count(*) from gone",
    "with new as (insert into users (name) values ('a') returning id) select id from new",
]
TOUCHING = [
    "set role admin",
    "reset all",
    "set local lock_timeout = 1",
    "select set_config('a', 'b', false)",
    "select set_config ('a', 'b', false)",
    "select set_config/* here */('a', 'b', false)",
    "select set_config -- here\n ('a', 'b', false)",
    "select SET_CONFIG('a', 'b', false)",
    "select pg_catalog.set_config('a', 'b', false)",
    "select pg_catalog . set_config ('a', 'b', false)",
    "select \"set_config\"('a', 'b', false)",
    "select pg_catalog.\"set_config\"('a', 'b', false)",
    "select U&\"set\\005fconfig\"('a', 'b', false)",
    "select mine.count(*) from t",
    'select "count"(1)',
    "select count(*), (select set_config('a', 'b', false)) from t",
    "select count(set_config('a', 'b', false))",
    "select * from set_config('a', 'b', false)",
    "select * from t join set_config('a', 'b', false) on true",
    "select * from t, lateral set_config('a', 'b', false)",
    "select * from rows from (set_config('a', 'b', false))",
    "select 1 where (set_config('a', 'b', false)) is null",
    "select case when set_config('a', 'b', false) is null then 1 end",
    "select 1 order by set_config('a', 'b', false)",
    "select 1 limit length(set_config('a', '1', false))",
    "select array[set_config('a', 'b', false)]",
    "select (set_config('a', 'b', false))::text",
    "select cast(set_config('a', 'b', false) as text)",
    "select not set_config('a', 't', false)::bool",
    "select 1 -set_config('a', '1', false)::int",
    "select 1 as one, set_config('a', 'b', false)",
    "select '1'::int+set_config('a', '1', false)::int",
    "values (nextval('s'))",
    "values (set_config('a', 'b', false))",
    "insert into t values (set_config('a', 'b', false))",
    "update t set a = set_config('a', 'b', false)",
    "delete from t returning set_config('a', 'b', false)",
    "with t as (select set_config('a', 'b', false)) select * from t",
    "select f(values) from t",
    "select by(1), filter(1), over(1), sets(1), conflict(1), materialized(1), varying(1), rows(1), join(1), within(1)",
    "select by(1)",
    "select filter(1)",
    "select over(1)",
    "select sets(1)",
    "select varying(1)",
    "select materialized(1)",
    "select conflict(1)",
    "select join(1)",
    "select full(1)",
    "select cross(1)",
    "select similar(1)",
    "select partition(1)",
    "select cube(1)",
    "select ran\u212a(1)",
    "select 1 operator(mine.+) 2",
    "select nextval('s')",
    "select setval('s', 1)",
    "select lastval()",
    "select setseed(0.5)",
    "select random()",
    "select pg_advisory_lock(1)",
    "select pg_advisory_xact_lock(1)",
    "select dblink('x', 'y')",
    "select pg_notify('a', 'b')",
    "select lo_create(0)",
    "select query_to_xml('select 1', true, true, '')",
    "select ts_stat('select 1')",
    "select 1 into mine",
    "select 1 into temp mine",
    "select 1 into pg_temp.mine",
    "with t as (select 1) select * into temporary mine from t",
    "select 1; set lock_timeout = 1",
    "listen news",
    "notify news",
    "lock table t",
    "call p()",
    "do $$ begin end $$",
    "copy t from stdin",
    "explain analyze delete from t",
    "prepare x as select 1",
    "execute x",
    "declare c cursor with hold for select 1",
    "fetch c",
    "create temporary table t (id int)",
    "create table t (id int)",
    "begin",
    "truncate t",
    "",
]


@pytest.mark.parametrize("sql", HARMLESS_READS)
def test_a_plain_read_touches_nothing_and_may_run_twice(sql: str) -> None:
    effects = effects_of(sql)

    assert (effects.touches_session, effects.reads_only) == (False, True)


@pytest.mark.parametrize("sql", HARMLESS_WRITES)
def test_a_plain_write_or_lock_touches_no_session_but_must_not_run_twice(sql: str) -> None:
    effects = effects_of(sql)

    assert (effects.touches_session, effects.reads_only) == (False, False)


@pytest.mark.parametrize("sql", TOUCHING)
def test_whatever_may_touch_the_session_is_taken_for_it(sql: str) -> None:
    effects = effects_of(sql)

    assert (effects.touches_session, effects.reads_only) == (True, False)


gaps = st.sampled_from(["", " ", "\n", "/* x */", " -- x\n", "\t/* /* nested */ */ "])
letters = st.sampled_from(["set_config", "Set_Config", "SET_CONFIG", '"set_config"'])
schemas = st.sampled_from(["", "pg_catalog.", '"pg_catalog".', "PG_CATALOG . "])
places = st.sampled_from(
    [
        "select {}",
        "select 1, {}",
        "select a.b, -{}::int from a",
        "select count({}) over (order by {}) from t",
        "select * from {}",
        "select * from t cross join {} as x (a, b)",
        "select * from t where a in (1, {})",
        "select * from t where exists (select {})",
        "with x (a) as (select {}) select 1 from x",
        "insert into t (a) values ({})",
        "insert into t as x (a) select {}",
        "update t set (a, b) = (1, {})",
        "delete from t where {} is null",
        "values (1, {})",
        "select array[1, {}]",
        "select coalesce({}, '')",
        "select case {} when 'a' then 1 end",
        "select 1 union all select {}",
        "select 'x' || {}",
        "select 1 from t order by {} limit 1",
        "select extract(year from {}::date)",
    ]
)


@given(place=places, schema=schemas, name=letters, gap=gaps)
def test_a_call_is_seen_wherever_and_however_it_is_written(place: str, schema: str, name: str, gap: str) -> None:
    sql = place.replace("{}", f"{schema}{name}{gap}('lock_timeout', '1s', false)")

    assert effects_of(sql).touches_session


def test_functions_of_ones_own_can_be_vouched_for() -> None:
    assert effects_of("select slugify('a')").touches_session
    assert effects_of("select slugify('a')", {"slugify"}).reads_only
    assert effects_of("select slugify('a'), other('a')", {"slugify"}).touches_session


def test_the_functions_held_harmless_are_few() -> None:
    assert len(HARMLESS_FUNCTIONS) == 72


def test_the_functions_held_harmless_are_postgresqls_own(database_url: str) -> None:
    asked = "select distinct proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace"
    with psycopg.connect(database_url) as connection:
        known = {str(name) for (name,) in connection.execute(asked)}

    # These are syntax that the parser turns into calls of others.
    assert HARMLESS_FUNCTIONS - known <= {"extract", "left", "right"}


def test_none_of_the_functions_held_harmless_is_volatile_but_the_two_that_only_return_something_new(
    database_url: str,
) -> None:
    asked = "select distinct proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace and provolatile = 'v'"
    with psycopg.connect(database_url) as connection:
        volatile = {str(name) for (name,) in connection.execute(asked)}

    assert volatile & HARMLESS_FUNCTIONS == {"clock_timestamp", "gen_random_uuid"}


@pytest.mark.parametrize("sql", ["prepare x as select 1", "LOAD 'x'", "do $$ begin execute 'prepare x as …'; end $$"])
def test_prepare_and_load_outlive_a_reset(sql: str) -> None:
    assert outlives_reset(sql)
    assert not outlives_reset("select 1")


@pytest.mark.parametrize(
    ("sql", "left"),
    [
        ("set lock_timeout = 1", "SET without LOCAL"),
        ("set session authorization x", "SET without LOCAL"),
        ("set role x", "SET without LOCAL"),
        ("select 1; set lock_timeout = 1", "SET without LOCAL"),
        ("reset all", "RESET"),
        ("listen news", "LISTEN"),
        ("prepare x as select 1", "PREPARE"),
        ("load 'x'", "LOAD"),
        ("discard all", "DISCARD"),
        ("create temp table t (id int)", "a temporary table"),
        ("create table pg_temp.t (id int)", "a temporary table"),
        ("create or replace local temporary view v as select 1", "a temporary table"),
        ("select 1 into temporary t", "a temporary table"),
        ("select 1 into local temp table t", "a temporary table"),
        ("select 1 into pg_temp.t", "a temporary table"),
        ("declare c cursor with hold for select 1", "a cursor WITH HOLD"),
        ("select pg_advisory_lock(1)", "pg_advisory_lock()"),
        ("select pg_try_advisory_lock_shared (1)", "pg_try_advisory_lock_shared()"),
        ("select set_config('a', 'b', false)", "set_config() for the session"),
        ("select set_config('a', lower('b'), $1)", "set_config() for the session"),
        ("select set_config('a', 'b', true), set_config('a', 'b', false)", "set_config() for the session"),
        ("select \"set_config\"('a', 'b', false)", "set_config() for the session"),
        ('select "pg_advisory_lock"(1)', "pg_advisory_lock()"),
    ],
)
def test_what_would_stay_in_the_session_has_a_name(sql: str, left: str) -> None:
    assert session_state(sql) == left


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "set local lock_timeout = 1",
        "set transaction read only",
        "set constraints all deferred",
        "select set_config('a', lower('b'), true)",
        "select pg_advisory_xact_lock(1)",
        "declare c cursor for select 1",
        "declare c cursor without hold for select 1",
        "create table t (id int)",
        "update t set temp = 1",
        "insert into readings (temp) values (1)",
        "insert into temp values (1)",
        "merge into temp using t on true when matched then do nothing",
        "create table readings (temp int, temporary bool)",
        "select set_config from t",
        "select set_config('a', 'b', true), set_config('a', 'b', true)",
        "prepare transaction 'x'",
        "select 'listen'; select 'set role x'",
    ],
)
def test_what_ends_with_its_transaction_is_not_refused(sql: str) -> None:
    assert session_state(sql) is None
