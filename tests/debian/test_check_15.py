import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.check.lock import lock_text, read_lock
from app.check.postgres.scratch import scratch_database
from app.check.project import check_on_server, lock_problem
from tests.check.planting import Planted, bound
from tests.check.test_own_queries import MODULES, PROJECT
from tests.debian.conftest import DebianPostgres

pytestmark = pytest.mark.debian


@pytest.fixture
def planted(debian_postgres: DebianPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planted]:
    """A small project in the current folder, on PostgreSQL 15."""
    monkeypatch.chdir(tmp_path)
    yield Planted(tmp_path, debian_postgres.dsn)


def test_the_service_has_no_problem_on_an_older_server(debian_postgres: DebianPostgres) -> None:
    with scratch_database(debian_postgres.dsn, PROJECT.migrate) as dsn:
        report = asyncio.run(check_on_server(PROJECT, dsn, MODULES))

    assert "\n\n".join(map(str, report.problems)) == ""
    assert lock_problem(PROJECT, report) is None


def test_an_older_server_plans_for_any_argument(planted: Planted) -> None:
    functions = bound("list_ids, nick: str", "list[int]") + bound("get_name, id: int", "str")

    problems = planted.problems(
        "-- name: list_ids\nselect id from people where nick = :nick;\n"
        "-- name: get_name\nselect name from people where id = :id;",
        functions,
    )

    assert [problem.splitlines()[0] for problem in problems] == [
        "sql/people.sql:2:16: error: no index of people serves (nick = :nick)"
    ]


def test_a_lock_of_an_older_server_is_the_same(planted: Planted, server_dsn: str) -> None:
    sql = (
        "-- name: add\ninsert into people (name, nick) values (:name, :nick) on conflict (name) do nothing;\n"
        "-- name: get_pet\nselect pets.name, nick\n"
        "from pets left join people on people.id = owner_id where pets.id = :id;"
    )
    row = "@dataclass(frozen=True, slots=True)\nclass Pet:\n    name: str\n    nick: str | None\n"
    older = planted.check(
        sql, bound("add, name: str, nick: str | None", "None") + bound("get_pet, id: int", "Pet", row)
    )
    planted.project.lock.write_text(lock_text(older.described))

    planted.server_dsn = server_dsn
    newer = planted.check_again()

    assert set(read_lock(planted.project.lock).entries) == {"people.add", "people.get_pet"}
    assert lock_problem(planted.project, newer) is None
