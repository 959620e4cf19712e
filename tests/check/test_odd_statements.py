"""Whatever a statement is, the checker has a word for it: one query's failure is that query's problem."""

import re

import pytest
from click.testing import CliRunner

from app.check.command import check_command
from tests.check.planting import Planted, bound

SCHEMA = """
create type pair as (a int, b text);
create table odd (id int primary key, kind text, pair pair, rights aclitem);
create unique index odd_kind_key on odd (kind) where kind = 'x';
create table other (id int primary key, n int);
create procedure proc(inout a int) language sql as $$ select 1 $$;
create function raiser(int) returns int language plpgsql immutable as $$ begin raise 'never'; end $$;
create foreign data wrapper nowhere;
create server far foreign data wrapper nowhere;
create foreign table remote (id int) server far;
"""
REFUSED = {
    "select 1/0 as id": "division by zero",
    "select case when odd.id > 0 then 1 else 1/0 end as id from odd where id = 1": "division by zero",
    "select ('x' || '')::int as id": "invalid input syntax for type integer",
    "select raiser(1) as id": "never",
    "select id from other where 'a' ~ '('": "parentheses () not balanced",
    "select length(repeat('x', 2000000000)) as id": "requested length too large",
    "select id from remote": "has no handler",
    "insert into odd (id) values (1) on conflict (pair) do nothing returning id": "no unique or exclusion constraint",
    "select odd.id from odd full join other on odd.id < other.id": "FULL JOIN is only supported",
    "select odd.id from odd left join other on other.id = odd.id for update": "FOR UPDATE cannot be applied",
    "select odd from odd where id = 1": "the driver cannot read or write a type of the statement",
    "select * from pg_attribute where attrelid = 1": "the driver cannot read or write a type of the statement",
    "selec 1": "syntax error",
    "select 'x'::int as id": "invalid input syntax for type integer",
    "select nope from odd": 'column "nope" does not exist',
}
COMMANDS = (
    """
begin|commit|rollback|savepoint a|start transaction|abort|end|release a|set local work_mem = '1MB'|reset all
explain select 1|listen abc|notify abc|unlisten *|vacuum odd|analyze odd|truncate odd|lock table odd|do $$ begin end $$
call proc(1)|declare c cursor for select 1|fetch next from c|move c|close c|prepare x as select 1|execute x
deallocate all|discard all|checkpoint|reindex table odd|cluster odd|comment on table odd is 'x'
grant select on odd to public|revoke select on odd from public|alter table odd add column z int|drop table odd
create index on odd (kind)|create view v as select 1|create table t as select 1 as a|create table t (a int)
select id into temp t from odd|select 1 as a into t|create function f() returns int language sql as $$ select 1 $$
alter system set work_mem = '1MB'|create database x|create extension vector|load 'x'|security label on table odd is 'x'
import foreign schema a from server far into public|create role r|drop role r|reassign owned by a to b|drop owned by a
create trigger t before insert on odd execute function f()|create policy p on odd|create publication p
create type t as (a int)|create domain d as int|create sequence s|create schema s|create statistics on id, kind from odd
refresh materialized view v|set constraints all deferred|set role none|set session authorization default
alter role postgres set work_mem = '1MB'|prepare transaction 'x'|commit prepared 'x'|create server s
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
FINE = [
    "select relname from pg_class where oid = 1 or oid = 2",
    "select relname from pg_class where relname in ('a', 'b') and relnamespace = 11",
    "select relname from pg_class where oid = 1 or relname = 'a' and relnamespace = 11",
]


def sources(statements: list[str], returns: str) -> tuple[str, str]:
    """The files of queries that are called list_0, list_1, …"""
    sql = "".join(f"-- name: list_{number}\n{text};\n" for number, text in enumerate(statements))
    return sql, "".join(bound(f"list_{number}", returns) for number in range(len(statements)))


@pytest.fixture
def odd(planted: Planted) -> Planted:
    planted.schema += SCHEMA
    return planted


def test_what_is_refused_is_a_problem_of_its_query_and_of_no_other(odd: Planted) -> None:
    report = odd.check(*sources([*REFUSED, "select id from other where id = 1"], "list[int]"))

    assert [problem for problem in report.others if "lock" not in problem.message] == []
    for checked, said in zip(report.queries, [*REFUSED.values(), ""], strict=True):
        messages = [problem.message for problem in checked.problems if said not in problem.message]
        assert len(checked.problems) - len(messages) == (1 if said else 0), (checked.signature.name, messages)
    assert report.queries[-1].problems == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_no_reason_to_stop(odd: Planted, command: str) -> None:
    report = odd.check(*sources([command, "select 1/0 as id"], "None"))

    assert not [problem for problem in report.problems if "cannot be checked" in problem.message]
    assert len(report.queries) == 2
    assert any("division by zero" in problem.message for problem in report.queries[1].problems)


def test_the_catalogs_are_read_without_a_word(odd: Planted) -> None:
    report = odd.check(*sources(FINE, "list[str]"))

    assert [problem.message for problem in report.problems] == []


def test_what_the_checker_builds_itself_is_never_blamed(odd: Planted) -> None:
    report = odd.check(
        "-- name: list_ids\n-- check: full scan of odd, because it is small\nselect id from odd where pair = :pair",
        bound("list_ids, pair: tuple[int, str]", "list[int]"),
    )

    text = "\n".join(map(str, report.problems))
    assert not re.search("function|bindery", text)
    assert "cast it to a composite" in text


def test_a_fault_of_the_checker_is_a_problem_of_the_query(odd: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("seen never before")

    monkeypatch.setattr("app.check.checks.describe", fail)
    (problem,) = odd.check(*sources(["select 1 as id"], "list[int]")).queries[0].problems

    assert problem.message == "this statement cannot be checked: KeyError: 'seen never before'"


@pytest.mark.parametrize(
    "text", ["select odd from odd", "selec 1", "begin", "select 1/0 as id", "select id into t from odd"]
)
def test_describe_has_no_traceback(odd: Planted, text: str) -> None:
    odd.write(*sources([text], "None"))

    result = CliRunner().invoke(check_command(odd.project), ["--describe", "people.list_0"])

    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output


def test_an_argument_decides_nothing_that_must_be_planned_before(odd: Planted) -> None:
    problem = (
        odd.check(
            "-- name: add\ninsert into odd (id) values (:id) on conflict (kind) where kind = :kind do nothing",
            bound("add, id: int, kind: str", "None"),
        )
        .queries[0]
        .problems[-1]
    )

    assert problem.message.startswith("PostgreSQL has no plan for any arguments: there is no unique or exclusion")
    assert "no placeholder among them" in problem.mend
