"""The roles of a database: each may do what it is for, and nothing else."""

from __future__ import annotations

import secrets

import psycopg
import pytest

from app.roles.attributes import Limits
from app.roles.names import RoleNames, RolesError
from app.roles.passwords import verifies
from app.roles.setup import Plan
from tests.databases import replace_database, replace_user
from tests.roles.conftest import Roles, drop_roles

SHOPS = """
create table shops (id bigint generated always as identity, name text not null, code text, primary key (id));
comment on column shops.code is 'secret: it opens the door';
create table others (id bigint);
insert into shops (name, code) values ('corner', 'sesame')
"""
READ = "select name from shops where id = $1"
ADD = "insert into shops (name) values ($1) returning id"


@pytest.fixture(autouse=True)
def shops(database_url: str) -> None:
    execute(database_url, SHOPS)


def execute(dsn: str, statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statements.encode())


async def test_the_application_may_do_what_its_statements_do(roles: Roles) -> None:
    await roles.set_up(READ, ADD)

    assert await roles.refusal("application", "select name from shops where id = 1") == ""
    assert await roles.refusal("application", "insert into shops (name) values ('b') returning id") == ""


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("create table mine (id int)", "permission denied for schema public"),
        ("create temporary table mine (id int)", "permission denied to create temporary tables"),
        ("create schema mine", "permission denied for database"),
        ("select code from shops", "permission denied for table shops"),
        ("select * from shops", "permission denied for table shops"),
        ("insert into shops (name, code) values ('a', 'b')", "permission denied for table shops"),
        ("update shops set name = 'a'", "permission denied for table shops"),
        ("delete from shops", "permission denied for table shops"),
        ("truncate shops", "permission denied for table shops"),
        ("select from others", "permission denied for table others"),
        ("drop table shops", "must be owner of table shops"),
        ("alter table shops add column more text", "must be owner of table shops"),
        ("select rolpassword from pg_authid", "permission denied for table pg_authid"),
        ("create role mine", "permission denied to create role"),
        ("copy shops (name) to program 'cat'", "permission denied to COPY to or from an external program"),
    ],
)
async def test_the_application_may_do_nothing_else(roles: Roles, statement: str, refused: str) -> None:
    await roles.set_up(READ, ADD)

    assert refused in await roles.refusal("application", statement)


async def test_a_second_run_changes_nothing(roles: Roles) -> None:
    first = await roles.set_up(READ, ADD)

    second = await roles.set_up(READ, ADD)

    assert len(first.statements) > 10
    assert second.statements == []
    assert second.passwords == {}


async def test_a_right_that_no_statement_needs_any_more_is_revoked(roles: Roles) -> None:
    await roles.set_up(READ, ADD)

    outcome = await roles.set_up(READ)

    assert outcome.statements == [f"revoke insert (name) on table public.shops from {roles.names.application}"]
    assert "permission denied" in await roles.refusal("application", "insert into shops (name) values ('b')")
    assert await roles.refusal("application", "select name from shops where id = 1") == ""


async def test_a_right_that_an_older_release_needs_is_kept_when_told(roles: Roles) -> None:
    await roles.set_up(READ)

    await roles.set_up(ADD, plan=Plan(roles.names, {}, revokes=False))

    assert await roles.refusal("application", "select name from shops where id = 1") == ""
    assert await roles.refusal("application", "insert into shops (name) values ('b') returning id") == ""


async def test_a_right_that_somebody_granted_by_hand_is_revoked(roles: Roles) -> None:
    await roles.set_up(READ)
    execute(
        roles.dsn, f"grant select, truncate on shops to {roles.names.application}; grant select on others to public"
    )

    await roles.set_up(READ)

    assert "permission denied" in await roles.refusal("application", "select code from shops")
    assert "permission denied" in await roles.refusal("application", "truncate shops")
    assert "permission denied" in await roles.refusal("application", "select from others")
    # Revoking the right on the table took that on the column along.
    assert await roles.refusal("application", "select name from shops where id = 1") == ""


async def test_what_somebody_made_of_a_role_is_corrected(roles: Roles) -> None:
    await roles.set_up(READ)
    names = roles.names
    execute(
        roles.dsn,
        f"alter role {names.application} superuser createdb nologin; grant {names.owner} to {names.application};"
        f"alter role {names.reader} connection limit 90",
    )

    outcome = await roles.set_up(READ)

    assert outcome.statements[0] == f"alter role {names.application} nosuperuser nocreatedb login"
    assert "must be owner" in await roles.refusal("application", "drop table shops")
    assert (await roles.set_up(READ)).statements == []


async def test_nobody_else_may_connect_or_call_a_function(roles: Roles) -> None:
    execute(roles.dsn, "create function answer() returns int language sql as 'select 42'")

    await roles.set_up(READ)
    execute(roles.dsn, f"set role {roles.names.owner}; create function later() returns int language sql as 'select 43'")

    assert "permission denied for function answer" in await roles.refusal("reader", "select answer()")
    assert "permission denied for function later" in await roles.refusal("reader", "select later()")
    with psycopg.connect(roles.dsn) as admin:
        may = admin.execute("select has_database_privilege('public', current_database(), 'connect')").fetchone()
    assert may == (False,)


async def test_the_owner_owns_everything_and_migrates(roles: Roles) -> None:
    await roles.set_up(READ)

    assert await roles.refusal("owner", "alter table shops add column more text; create table more (id int)") == ""


async def test_a_reader_reads_what_is_not_secret(roles: Roles) -> None:
    await roles.set_up(READ)

    assert await roles.refusal("reader", "select shops.id, name, others from shops, others") == ""
    assert "permission denied for table shops" in await roles.refusal("reader", "select code from shops")


async def test_a_reader_writes_nothing_and_has_limits(roles: Roles) -> None:
    await roles.set_up(READ, plan=Plan(roles.names, {}, Limits(7, 8, 2)))

    add = "insert into shops (name) values ('b')"
    assert "read-only transaction" in await roles.refusal("reader", "create table mine (id int)")
    assert "permission denied" in await roles.refusal("reader", f"begin read write; {add}")
    settings = ("statement_timeout", "default_transaction_read_only", "idle_in_transaction_session_timeout")
    with psycopg.connect(roles.login("reader")) as one, psycopg.connect(roles.login("reader")):
        assert [one.execute(f"show {name}".encode()).fetchone() for name in settings] == [("7s",), ("on",), ("8s",)]
        assert "too many connections for role" in await roles.refusal("reader", "select 1")


async def test_a_monitor_sees_the_sessions_of_others_and_no_table(roles: Roles) -> None:
    await roles.set_up(READ)

    with psycopg.connect(roles.dsn), psycopg.connect(roles.login("monitor")) as monitor:
        hidden = monitor.execute("select from pg_stat_activity where query like '<insufficient%'").fetchall()
        assert hidden == []
    assert "permission denied for table shops" in await roles.refusal("monitor", "select from shops")


async def test_a_dry_run_says_what_it_would_do_and_does_nothing(roles: Roles) -> None:
    outcome = await roles.set_up(READ, plan=Plan(roles.names, {}, dry_run=True))

    assert f"create role {roles.names.reader} login connection limit 5" in outcome.statements
    assert f"grant select (id, name) on table public.shops to {roles.names.application}" in outcome.statements
    with psycopg.connect(roles.dsn) as admin:
        assert admin.execute("select from pg_roles where rolname = %s", [roles.names.reader]).fetchall() == []


async def test_a_password_is_stored_as_a_verifier_and_rotated_alone(roles: Roles) -> None:
    first = await roles.set_up(READ)

    rotated = await roles.set_up(READ, plan=Plan(roles.names, {}, rotate=frozenset({"application"})))

    assert set(first.passwords) == {"owner", "application", "reader", "monitor"}
    assert list(rotated.passwords) == ["application"]
    assert rotated.statements == [f"alter role {roles.names.application} password 'SCRAM-SHA-256$…'"]
    with psycopg.connect(roles.dsn) as admin:
        stored = dict(admin.execute("select rolname, rolpassword from pg_authid").fetchall())
    assert verifies(stored[roles.names.application], rotated.passwords["application"])
    assert not verifies(stored[roles.names.application], first.passwords["application"])
    assert verifies(stored[roles.names.owner], first.passwords["owner"])


async def test_a_password_that_was_chosen_is_set_once(roles: Roles) -> None:
    plan = Plan(roles.names, {}, given={"application": "opens & shuts"})
    first = await roles.set_up(READ, plan=plan)

    second = await roles.set_up(READ, plan=plan)

    assert "application" not in first.passwords
    assert second.statements == []


async def test_the_roles_of_two_databases_are_strangers(roles: Roles, server_dsn: str) -> None:
    await roles.set_up(READ)
    name = f"{roles.names.prefix}_b_test"
    execute(server_dsn, f"create database {name}")
    other = Roles(replace_database(server_dsn, name), RoleNames(f"{roles.names.prefix}_b"), {})
    try:
        outcome = await other.set_up("select 1")
        assert outcome.refused == {}
        elsewhere = Roles(other.dsn, roles.names, roles.passwords)
        assert "permission denied for database" in await elsewhere.refusal("application", "select 1")
    finally:
        drop_roles(other.dsn, other.names)
        execute(server_dsn, f"drop database {name} with (force)")


async def test_a_statement_that_does_not_fit_is_named_and_nothing_is_revoked(roles: Roles) -> None:
    await roles.set_up(READ)

    outcome = await roles.set_up(ADD, "select nothing from shops")

    assert outcome.refused == {"statement 1": 'column "nothing" does not exist'}
    assert await roles.refusal("application", "select name from shops where id = 1") == ""
    assert await roles.refusal("application", "insert into shops (name) values ('b') returning id") == ""


async def test_a_login_that_may_not_create_roles_is_told(roles: Roles) -> None:
    await roles.set_up(READ)
    stranger = Roles(roles.login("application"), RoleNames(f"{roles.names.prefix}_c"), {})

    with pytest.raises(
        RolesError, match=f"{roles.names.application} may not: create role {stranger.names.owner} login"
    ):
        await stranger.set_up(READ)


async def test_the_owner_itself_gives_the_rights_of_a_new_release(roles: Roles) -> None:
    await roles.set_up(READ)
    owner = Roles(roles.login("owner"), roles.names, {})

    outcome = await owner.set_up(READ, "select from others where id = $1")

    assert outcome.statements == [f"grant select (id) on table public.others to {roles.names.application}"]


async def test_a_login_that_may_create_roles_and_owns_the_database_sets_them_up(server_dsn: str) -> None:
    names, admin = RoleNames(f"roles_{secrets.token_hex(4)}"), f"admin_{secrets.token_hex(4)}"
    execute(server_dsn, f"create role {admin} login createrole createdb; grant pg_monitor to {admin} with admin option")
    execute(server_dsn, f"create database {names.prefix}_test owner {admin}")
    dsn = replace_database(server_dsn, f"{names.prefix}_test")
    try:
        execute(replace_user(dsn, admin), SHOPS)
        roles = Roles(replace_user(dsn, admin), names, {})
        first, second = await roles.set_up(READ), await roles.set_up(READ)

        assert f"alter table public.shops owner to {names.owner}" in first.statements
        assert second.statements == []
        assert await roles.refusal("application", "select name from shops where id = 1") == ""
    finally:
        drop_roles(dsn, names)
        execute(server_dsn, f"drop database {names.prefix}_test with (force)")
        execute(server_dsn, f"drop owned by {admin}; drop role {admin}")


@pytest.mark.parametrize("prefix", ["", "x" * 52])
def test_a_prefix_that_makes_no_name_is_refused(prefix: str) -> None:
    with pytest.raises(RolesError, match="makes no name of a role; allowed: 1 to 51 bytes"):
        RoleNames(prefix)
