"""Which unique index an `on conflict` takes care of, by what PostgreSQL infers; and what fills a column left out."""

import pytest

from tests.check.planting import Planted, bound

SCHEMA = """
create table items (a int, b int, kind text, email text, constraint items_a_b_key unique (a, b));
create unique index items_a_key on items (a);
create table mails (email varchar(99) not null, kind text not null, n int);
create unique index mails_lower_key on mails (lower(email));
create unique index mails_upper_key on mails (upper(email));
create unique index mails_kind_key on mails (n) where kind = 'x';
create unique index mails_other_key on mails (n) where kind = 'y';
create domain stamp as timestamptz not null default now();
create domain nicer_stamp as stamp;
create table filled (
    id int primary key, by_trigger text not null, by_domain stamp not null, by_other nicer_stamp not null
);
create function fill() returns trigger language plpgsql as $$ begin new.by_trigger := 'x'; return new; end $$;
create trigger fill before insert on filled for each row execute function fill();
create table unfilled (id int primary key, after_all text not null, by_statement text not null);
create trigger fill after insert on unfilled for each row execute function fill();
create trigger never before insert on unfilled for each statement execute function fill();
create view pairs as select b as second, a as first, a + b as total from items;
create view some_pairs as select first, second from pairs where second > 1 with check option;
create view own_way as select a, b from items;
create function no() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger instead instead of insert on own_way for each row execute function no();
create table noted (id int primary key);
create rule doubled as on insert to noted do also select generate_series(1, 2);
create view of_noted as select id from noted;
create view of_view as select id from of_noted;
create table parts (k int, v text) partition by list (k);
create table parts_1 partition of parts for values in (1, 2);
create table parts_2 partition of parts for values in (3) partition by range (k);
create table parts_2_1 partition of parts_2 for values from (3) to (4);
create table ranged (k int, v text) partition by range (k);
create table ranged_1 partition of ranged for values from (0) to (10);
"""


@pytest.fixture
def conflicting(planted: Planted) -> Planted:
    planted.schema += SCHEMA
    return planted


def can_violate(planted: Planted, statement: str) -> set[str]:
    """The names of the constraints that the statement is said to be able to violate."""
    report = planted.check(f"-- name: add\n{statement}", bound("add", "None"))
    found = report.queries[0].description
    assert found is not None
    return set(found.can_violate)


@pytest.mark.parametrize(
    ("clause", "left"),
    [
        ("on conflict (a, b) do nothing", {"items_a_key"}),
        ("on conflict (b, a) do nothing", {"items_a_key"}),
        ("on conflict (a) do nothing", {"items_a_b_key"}),
        ("on conflict on constraint items_a_b_key do nothing", {"items_a_key"}),
        ("on conflict do nothing", set[str]()),
        ("", {"items_a_key", "items_a_b_key"}),
    ],
)
def test_a_conflict_on_some_columns_is_none_on_others(conflicting: Planted, clause: str, left: set[str]) -> None:
    assert can_violate(conflicting, f"insert into items (a, b) values (1, 2) {clause}") == left


ALL = {"mails_lower_key", "mails_upper_key", "mails_kind_key", "mails_other_key"}


@pytest.mark.parametrize(
    ("clause", "taken"),
    [
        ("on conflict (lower(email)) do nothing", "mails_lower_key"),
        ("on conflict (upper(email)) do nothing", "mails_upper_key"),
        ("on conflict (n) where kind = 'x' do nothing", "mails_kind_key"),
        ("on conflict (n) where kind = 'y' do update set n = 3", "mails_other_key"),
    ],
)
def test_an_index_of_an_expression_or_a_part_is_taken_care_of_by_its_own_only(
    conflicting: Planted, clause: str, taken: str
) -> None:
    found = can_violate(conflicting, f"insert into mails (email, kind, n) values ('a', 'x', 1) {clause}")

    assert taken not in found or "update" in clause
    assert ALL - {taken} <= found


def test_a_trigger_or_a_domain_fills_what_an_insert_leaves_out(conflicting: Planted) -> None:
    report = conflicting.check("-- name: add\ninsert into filled (id) values (1)", bound("add", "None"))

    assert not any("leaves out" in problem.message for problem in report.problems)


def test_a_trigger_that_comes_too_late_fills_nothing(conflicting: Planted) -> None:
    report = conflicting.check("-- name: add\ninsert into unfilled (id) values (1)", bound("add", "None"))

    (problem,) = [problem for problem in report.problems if "leaves out" in problem.message]
    assert "unfilled.after_all" in problem.message
    assert "unfilled.by_statement" in problem.message


@pytest.mark.parametrize("table", ["parts", "ranged"])
def test_a_partition_is_read_from_end_to_end_whatever_null_would_be_in(conflicting: Planted, table: str) -> None:
    report = conflicting.check(
        f"-- name: list_them\nselect v from {table} where k = :k", bound("list_them, k: int", "list[str | None]")
    )

    assert any(f"no index of {table}_1" in problem.message for problem in report.problems)


def test_an_exemption_for_a_partitioned_table_covers_its_partitions(conflicting: Planted) -> None:
    for condition in ("", "where k = :k"):
        report = conflicting.check(
            f"-- name: list_them\n-- check: full scan of parts, because it is small\nselect v from parts {condition}",
            bound("list_them, k: int" if condition else "list_them", "list[str | None]"),
        )

        assert [problem.message for problem in report.queries[0].problems] == []


def test_an_index_over_a_cast_serves(conflicting: Planted) -> None:
    report = conflicting.check(
        "-- name: list_them\nselect kind from mails where lower(email) = lower(:email)",
        bound("list_them, email: str", "list[str]"),
    )

    assert not any("no index" in problem.message for problem in report.problems)


@pytest.mark.parametrize(
    ("statement", "violated"),
    [
        ("insert into pairs (first, second) values (1, 2)", {"items_a_key", "items_a_b_key"}),
        ("insert into pairs (second, first) values (1, 2) on conflict (first) do nothing", {"items_a_b_key"}),
        ("insert into some_pairs (first, second) values (1, 2)", {"items_a_key", "items_a_b_key"}),
        ("update some_pairs set second = 3", {"items_a_b_key"}),
        ("update pairs set first = 3", {"items_a_key", "items_a_b_key"}),
        ("insert into own_way (a, b) values (1, 2)", set[str]()),
    ],
)
def test_a_write_through_a_view_can_violate_what_the_table_asks(
    conflicting: Planted, statement: str, violated: set[str]
) -> None:
    assert can_violate(conflicting, statement) == violated


@pytest.mark.parametrize("relation", ["noted", "of_noted", "of_view"])
def test_a_rule_behind_a_view_can_return_several_rows(conflicting: Planted, relation: str) -> None:
    report = conflicting.check(
        f"-- name: add\ninsert into {relation} (id) values (1) returning id", bound("add", "int | None")
    )

    assert any("several rows" in str(problem) or "has a rule" in str(problem) for problem in report.problems)


def test_an_insert_through_a_view_leaves_out_what_the_table_needs(conflicting: Planted) -> None:
    conflicting.schema += "create view thin as select id from unfilled;"
    report = conflicting.check("-- name: add\ninsert into thin (id) values (1)", bound("add", "None"))

    assert any("leaves out unfilled.after_all" in problem.message for problem in report.problems)
