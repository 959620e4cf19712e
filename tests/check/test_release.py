import asyncio

import pytest

from app.check.lock import lock_text, read_lock
from app.check.postgres.scratch import scratch_database
from app.check.postgres.server_types import ServerType
from app.check.project import check_offline, release_problems
from app.check.release import MEND, type_change
from tests.check.planting import Planted, bound

SQL = """\
-- name: get_nick
select nick,
       name
from people where id = :id;

-- name: add
insert into people (name, nick) values (:name, :nick) on conflict (name) do nothing;

-- name: count_pets
select count(*) from pets where owner_id = :id;
"""
ROW = "@dataclass(frozen=True, slots=True)\nclass Row:\n    nick: str | None\n    name: str\n"
FUNCTIONS = (
    bound("get_nick, id: int", "Row", ROW)
    + bound("add, name: str, nick: str | None", "None")
    + bound("count_pets, id: int", "int")
)


def broken(planted: Planted, migration: str) -> list[str]:
    """What the migration breaks for the release that has these queries."""
    planted.write(SQL, FUNCTIONS)
    planted.project.lock.write_text(lock_text(planted.check_again().described))
    planted.schema += migration
    with scratch_database(planted.server_dsn, planted.migrate) as dsn:
        return [str(problem) for problem in asyncio.run(release_problems(dsn, read_lock(planted.project.lock)))]


def test_a_migration_that_takes_away_a_column_breaks_the_queries_that_use_it(planted: Planted) -> None:
    problems = broken(planted, "alter table people rename nick to nickname")

    assert problems[0] == (
        'sql/lock.json:31:36: error: the schema breaks people.add: column "nick" of relation "people" does not exist\n'
        '        "insert into people (name, nick) values ($1, $2) on conflict (name) do nothing"\n'
        "                                   ^\n"
        '  PostgreSQL says column "nick" of relation "people" does not exist\n'
        f"  To mend it      {MEND}"
    )
    assert [problem.partition(" error: ")[2].partition(": ")[0] for problem in problems] == [
        "the schema breaks people.add",
        "the schema breaks people.get_nick",
    ]


@pytest.mark.parametrize(
    ("migration", "message"),
    [
        (
            "alter table people alter nick set not null",
            "the schema breaks people.add: :nick may be null, and goes into people.nick, which cannot be any more",
        ),
        (
            "alter table people alter name drop not null",
            "the schema breaks people.get_nick: the column name was never null and can be",
        ),
        (
            "alter table people alter nick type jsonb using null",
            "the schema breaks people.get_nick: the column nick was text and is jsonb",
        ),
        (
            "alter table people alter id type int",
            "the schema breaks people.get_nick: :id was bigint and is integer",
        ),
        (
            "alter table people add column born date not null",
            "the schema breaks people.add: its insert leaves out people.born, which is not null and has no default",
        ),
        (
            "create unique index people_nick_key on people (nick)",
            "the schema breaks people.add: it can violate people_nick_key, which it does not know",
        ),
        (
            "alter table pets drop constraint pets_owner_id_fkey; alter table people drop constraint people_pkey",
            "the schema breaks people.get_nick: it can yield several rows: ",
        ),
        ("drop table pets", 'the schema breaks people.count_pets: relation "pets" does not exist'),
        ("alter table people add column born date", None),
        ("alter table people alter nick type varchar(99)", None),
        ("create table toys (id int)", None),
    ],
)
def test_a_migration_is_judged_by_what_the_old_release_needs(
    planted: Planted, migration: str, message: str | None
) -> None:
    problems = broken(planted, migration)

    if message is None:
        assert problems == []
    else:
        assert any(message in problem for problem in problems)


INT, BIGINT, TEXT = ServerType("integer"), ServerType("bigint"), ServerType("text")
DOMAIN = ServerType("email", "domain", TEXT)
MOOD = ServerType("mood", "enum", labels=("happy", "sad"))
MOODS = ServerType("mood", "enum", labels=("happy", "sad", "glad"))


@pytest.mark.parametrize(
    ("old", "new", "writes", "change"),
    [
        (INT, INT, True, None),
        (INT, BIGINT, True, None),
        (BIGINT, INT, True, "was bigint and is integer"),
        (BIGINT, INT, False, None),
        (TEXT, DOMAIN, True, None),
        (DOMAIN, INT, False, "was text and is integer"),
        (MOOD, MOODS, True, None),
        (MOODS, MOOD, True, "is mood, which lost glad"),
        (MOOD, MOODS, False, "is mood, which gained glad"),
        (MOODS, MOOD, False, None),
        (
            ServerType("mood[]", "array", MOOD),
            ServerType("mood[]", "array", MOODS),
            False,
            "is mood, which gained glad",
        ),
    ],
)
def test_a_type_changes_when_python_notices(old: ServerType, new: ServerType, writes: bool, change: str | None) -> None:
    assert type_change(old, new, writes=writes) == change


PETS = """\
-- name: list_pets
-- check: full scan of pets, because it is a test
select pets.id, people.id as "owner.id", people.name as "owner.name"
from pets left join people on people.id = owner_id and people.id > :least
"""
PET = (
    "@dataclass(frozen=True, slots=True)\nclass Owner:\n    id: int\n    name: str\n"
    "@dataclass(frozen=True, slots=True)\nclass Pet:\n    id: int\n    owner: Owner | None\n"
)


def test_a_row_that_may_be_missing_is_locked_and_compared(planted: Planted) -> None:
    planted.write(PETS, bound("list_pets, least: int", "list[Pet]", PET))
    planted.project.lock.write_text(lock_text(planted.check_again().described))
    assert '"owner.name": "text not null beside people"' in planted.project.lock.read_text()
    assert check_offline(planted.project, planted.modules).problems == []

    planted.schema += "alter table people alter name drop not null"
    with scratch_database(planted.server_dsn, planted.migrate) as dsn:
        (problem,) = asyncio.run(release_problems(dsn, read_lock(planted.project.lock)))

    assert problem.message == "the schema breaks people.list_pets: the column owner.name was never null and can be"
