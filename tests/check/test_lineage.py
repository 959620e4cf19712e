import pytest

from app.check.postgres.describe import Description
from tests.check.planting import Planted, bound


def described(planted: Planted, statement: str, returns: str) -> Description:
    (query,) = planted.check(f"-- name: go\n{statement}", bound("go", returns)).queries
    assert query.description is not None
    return query.description


def test_a_statement_reads_the_columns_it_mentions(planted: Planted) -> None:
    statement = "select pets.name from people join pets on owner_id = people.id where exists (select nick) limit 1"

    lineage = described(planted, statement, "str").lineage

    assert lineage.reads == ("people.id", "people.nick", "pets.name", "pets.owner_id")
    assert lineage.writes == ()


def test_a_statement_writes_the_columns_it_assigns(planted: Planted) -> None:
    statement = (
        "with rex as (update pets set name = name || '!', owner_id = 1 where id = 1 returning id)"
        " insert into people (name, nick) select 'Al', id::text from rex"
        " on conflict (name) do update set joined_on = now()"
    )

    lineage = described(planted, statement, "None").lineage

    assert lineage.writes == ("people.joined_on", "people.name", "people.nick", "pets.name", "pets.owner_id")
    assert lineage.reads == ("people.name", "pets.id", "pets.name")


def test_a_view_stands_for_the_columns_behind_it(planted: Planted) -> None:
    planted.schema += """
        create view named as select id, name, nick from people;
        create view short as select id, name from named where char_length(name) < 5;
    """

    lineage = described(planted, "select id from short limit 1", "int").lineage

    assert set(lineage.reads) >= {"people.id", "people.name", "short.id"}


def test_a_function_of_the_user_is_named(planted: Planted) -> None:
    planted.schema += """
        create function shout(text) returns text language sql immutable as $$ select upper($1) $$;
    """

    lineage = described(planted, "select shout(name) from people where id = 1", "str | None").lineage

    assert lineage.calls == ("shout(text)",)
    assert lineage.reads == ("people.id", "people.name")


def test_a_whole_row_is_all_of_its_columns(planted: Planted) -> None:
    lineage = described(planted, "select to_jsonb(pets) from pets where id = 1", "object").lineage

    assert lineage.reads == ("pets.id", "pets.name", "pets.owner_id")


@pytest.mark.parametrize(
    "statement", ["delete from pets", "merge into pets using people on false when matched then delete"]
)
def test_a_deletion_writes_every_column(planted: Planted, statement: str) -> None:
    lineage = described(planted, statement, "None").lineage

    assert lineage.writes == ("pets.id", "pets.name", "pets.owner_id")


def test_a_condition_of_a_deletion_is_read(planted: Planted) -> None:
    lineage = described(planted, "delete from pets where owner_id = 7", "None").lineage

    assert lineage.reads == ("pets.owner_id",)


def test_a_generated_column_reads_what_it_is_computed_from(planted: Planted) -> None:
    planted.schema += """
        alter table people add column label text generated always as (name || coalesce(nick, '')) stored;
    """

    lineage = described(planted, "select label from people where id = 1", "str | None").lineage

    assert lineage.reads == ("people.id", "people.label", "people.name", "people.nick")


def test_a_write_through_views_writes_the_table_behind_them(planted: Planted) -> None:
    planted.schema += """
        create view named as select id, name as called, nick from people;
        create view short as select id as number, called from named;
    """

    update = described(planted, "update short set called = 'Al' where number = 1", "None").lineage
    insert = described(planted, "insert into named (called, nick) values ('Al', 'al')", "None").lineage
    delete = described(planted, "delete from short", "None").lineage

    assert update.writes == ("named.called", "people.name", "short.called")
    assert insert.writes == ("named.called", "named.nick", "people.name", "people.nick")
    assert set(delete.writes) >= {"people.id", "people.name", "short.number"}
