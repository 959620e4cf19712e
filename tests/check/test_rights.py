"""The rights that statements need are derived, and PostgreSQL proves them: it is asked as a role that has no others."""

from __future__ import annotations

import asyncio
import secrets

import asyncpg
import psycopg
import pytest

from app.check.postgres.acl_catalog import load_acl_catalog
from app.check.postgres.grants import grant_statements
from app.check.postgres.rights import PRIVILEGES, load_trees, needed_rights
from app.check.postgres.scratch import scratch_database
from app.check.project import check_on_server
from tests.check.planting import Planted, bound

SCHEMA = """
create table people (id bigint generated always as identity primary key, name text not null, nick text, code text);
create table logged (id serial primary key, name text);
create function folded(value text) returns text language plpgsql immutable as $$ begin return lower(value); end $$;
create function greeting(value text) returns text language sql immutable return 'hello ' || folded(value);
create index on people (folded(name));
create view named as select id, name, folded(name) as folded from people where code is not null;
create view mine with (security_invoker) as select id, nick from people;
create schema other;
create table other.things (id int);
create function whole() returns bigint language sql stable begin atomic select count(*) from people; end
"""


async def granted(server_dsn: str, *texts: str, schema: str = SCHEMA) -> list[str]:
    """What the statements need, as GRANT says it."""

    def migrate(dsn: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(schema.encode())

    with scratch_database(server_dsn, migrate) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            catalog = await load_acl_catalog(connection)
            needs = needed_rights(catalog, await load_trees(connection, texts))
            found = grant_statements(catalog, "it", needs.rights, ())
            return [statement for statement in found if statement != "grant usage on schema public to it"]
        finally:
            await connection.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select name from people where id = $1", ["grant select (id, name) on table public.people to it"]),
        ("select p from people as p", ["grant select (id, name, nick, code) on table public.people to it"]),
        ("select count(*) from people", ["grant select (id) on table public.people to it"]),
        ("select count(*), max(nick) from people", ["grant select (nick) on table public.people to it"]),
        ("select nick from people for update", ["grant select (nick), update (id) on table public.people to it"]),
        ("select ctid, xmin from people", ["grant select (xmin, ctid) on table public.people to it"]),
        ("delete from people", ["grant delete on table public.people to it"]),
        ("delete from people where nick = $1", ["grant delete, select (nick) on table public.people to it"]),
        (
            "insert into people (name) values ($1) on conflict (id) do update set nick = excluded.nick returning code",
            [
                "grant execute on routine public.folded(value text) to it",
                "grant insert (name), select (id, nick, code), update (nick) on table public.people to it",
            ],
        ),
        ("select greeting($1)", [
            "grant execute on routine public.folded(value text) to it",
            "grant execute on routine public.greeting(value text) to it",
        ]),
        ("select id from named", [
            "grant execute on routine public.folded(value text) to it",
            "grant select (id) on table public.named to it",
        ]),
        ("select id from mine", [
            "grant select (id, nick) on table public.people to it",
            "grant select (id) on table public.mine to it",
        ]),
        ("insert into logged (name) values ($1)", [
            "grant insert (name) on table public.logged to it",
            "grant usage on sequence public.logged_id_seq to it",
        ]),
        ("select nextval('logged_id_seq')", ["grant usage on sequence public.logged_id_seq to it"]),
        ("select id from other.things", [
            "grant usage on schema other to it",
            "grant select (id) on table other.things to it",
        ]),
        ("select whole()", [
            "grant execute on routine public.whole() to it",
            "grant select (id) on table public.people to it",
        ]),
        ("update named set name = $1", [
            "grant execute on routine public.folded(value text) to it",
            "grant update (name) on table public.named to it",
        ]),
        ("select relname from pg_class", []),
    ],
)  # fmt: skip
async def test_a_statement_needs_what_postgresql_checks(server_dsn: str, text: str, expected: list[str]) -> None:
    assert sorted(await granted(server_dsn, text)) == sorted(expected)
    assert await refusals(server_dsn, text) == []


async def refusals(server_dsn: str, text: str) -> list[str]:
    """What a new role with exactly these rights is told."""
    role = f"checked_{secrets.token_hex(6)}"

    def migrate(dsn: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(SCHEMA.encode())
            connection.execute("revoke execute on all routines in schema public from public")
            connection.execute("revoke usage on schema public from public")

    told: list[str] = []
    with scratch_database(server_dsn, migrate) as dsn:
        connection = await asyncpg.connect(dsn)
        transaction = connection.transaction()
        await transaction.start()
        try:
            catalog = await load_acl_catalog(connection)
            needs = needed_rights(catalog, await load_trees(connection, [text]))
            await connection.execute(f"create role {role}")
            for statement in grant_statements(catalog, role, needs.rights, ()):
                await connection.execute(statement)
            await connection.execute(f"set local role {role}")
            prepared = await connection.prepare(text)
            values = ["1" if parameter.name == "text" else 1 for parameter in prepared.get_parameters()]
            await prepared.fetch(*values)
        except asyncpg.InsufficientPrivilegeError as error:
            told.append(str(error))
        finally:
            await transaction.rollback()
            await connection.close()
    return told


TRIGGER = """;
create function keep() returns trigger language plpgsql
as $$ begin insert into pets values (default); return null; end $$;
create trigger kept after delete on people for each row execute function keep()
"""


def test_a_function_of_which_nobody_knows_what_it_needs_is_a_problem(planted: Planted) -> None:
    planted.schema += TRIGGER

    [problem] = planted.problems(
        "-- name: delete_person\ndelete from people where id = :id;\n", bound("delete_person, id: int", "None")
    )

    assert "the function keep() names pets, with its caller's rights" in problem
    assert "make it security definer" in problem


def test_a_function_that_this_write_does_not_call_is_none(planted: Planted) -> None:
    planted.schema += TRIGGER

    assert (
        planted.problems(
            "-- name: rename\nupdate people set nick = :nick where id = :id;\n",
            bound("rename, id: int, nick: str", "None"),
        )
        == []
    )


def test_the_owners_rights_without_a_path_of_its_own_are_a_problem(planted: Planted) -> None:
    planted.schema += TRIGGER + ";alter function keep() security definer"
    delete = "-- name: delete_person\ndelete from people where id = :id;\n", bound("delete_person, id: int", "None")

    [problem] = planted.problems(*delete)
    planted.schema += " set search_path = public, pg_temp"

    assert "keep() has its owner's rights, and its caller chooses what its names mean" in problem
    assert [str(each) for each in planted.check_again().problems] == []


def test_a_statement_that_the_application_could_not_run_is_a_problem_at_its_place(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRIVILEGES, "DELETE", (0, ""))

    [problem] = planted.problems(
        "-- name: delete_person\ndelete from people where id = :id;\n", bound("delete_person, id: int", "None")
    )

    assert problem.startswith("sql/people.sql:2:1: error: ")
    assert "the application would not be allowed to run this: permission denied for table people" in problem


def test_a_server_whose_login_may_not_create_roles_is_a_problem(planted: Planted) -> None:
    planted.write("-- name: find\nselect 1 as one;\n", bound("find", "int"))
    login = f"creator_{secrets.token_hex(4)}"
    with psycopg.connect(planted.server_dsn, autocommit=True) as admin:
        admin.execute(f"create role {login} login createdb".encode())
        try:
            dsn = planted.server_dsn.replace("postgres@", f"{login}@")
            with scratch_database(dsn, planted.migrate) as scratch:
                report = asyncio.run(check_on_server(planted.project, scratch, planted.modules))
        finally:
            admin.execute(f"drop role {login}".encode())

    [problem] = report.problems
    assert "the rights of the application cannot be proved: permission denied to create role" in str(problem)
