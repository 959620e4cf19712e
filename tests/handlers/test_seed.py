"""`python -m app seed`: generated data."""

from __future__ import annotations

from pathlib import Path
from random import Random

import psycopg
import pytest

from app.seeding.shapes import Zipf, shares
from app.seeding.sizes import SIZES, Size, problem
from app.seeding.words import names
from tests.processes import run

SMALL = {"users": 60, "articles": 200, "tags": 30, "favorites": 1000, "comments": 300, "follows": 400}
OPTIONS = [f"--{name}={number}" for name, number in SMALL.items()]
COUNTS = (
    "select (select count(*) from users), (select count(*) from articles), (select count(*) from tags), "
    "(select count(*) from favorites), (select count(*) from comments), (select count(*) from follows)"
)
CONTENT = """
    select md5(string_agg(row(username, title, tags, articles.created_at, favorites)::text, ',' order by articles.id))
    from articles join users on users.id = author_id
    cross join lateral (
        select array_agg(user_id order by user_id) as favorites from favorites where article_id = articles.id
    ) as fans
"""


def rows(dsn: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(sql.encode()).fetchall()


def test_the_data_have_the_size_and_shapes_that_were_asked_for(
    tmp_path: Path, database: dict[str, str], direct_url: str
) -> None:
    done = run("app", "seed", *OPTIONS, folder=tmp_path, **database)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "Stored 60 users, 200 articles, 30 tags, 1,000 favorites, 300 comments, 400 follows\n"
    assert rows(direct_url, COUNTS) == [(60, 200, 30, 1000, 300, 400)]
    assert rows(direct_url, "select distinct cardinality(tags) from articles") == [(5,)]
    most = "select max(n) from (select sum({}) as n from {} group by {}) as counted"
    assert rows(direct_url, most.format("favorites", "favorite_counts", "article_id")) == [(50,)]
    curious = "select max(n) from (select count(*) as n from follows group by follower_id) as counted"
    ((followed,),) = rows(direct_url, curious)
    assert isinstance(followed, int)
    assert followed >= 5
    ((top,),) = rows(direct_url, most.format("articles", "author_counts", "author_id"))
    assert isinstance(top, int)
    assert top >= 20
    words = "select min(n), max(n) from (select cardinality(string_to_array(body, ' ')) as n from articles) as counted"
    ((least, longest),) = rows(direct_url, words)
    assert isinstance(least, int)
    assert isinstance(longest, int)
    assert 80 <= least <= longest <= 240


def test_the_same_size_gives_the_same_data_and_a_used_database_is_refused(
    tmp_path: Path, database: dict[str, str], direct_url: str
) -> None:
    assert run("app", "seed", *OPTIONS, folder=tmp_path, **database).returncode == 0
    first = rows(direct_url, CONTENT)

    refused = run("app", "seed", *OPTIONS, folder=tmp_path, **database)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.endswith("Error: the database has users already; --append adds to what is there\n")
    assert rows(direct_url, COUNTS) == [(60, 200, 30, 1000, 300, 400)]

    added = run("app", "seed", *OPTIONS, "--append", folder=tmp_path, **database)
    assert added.returncode == 0, added.stderr
    assert rows(direct_url, COUNTS)[0][:2] == (120, 400)
    with psycopg.connect(direct_url, autocommit=True) as connection:
        connection.execute("truncate users restart identity cascade")
    assert run("app", "seed", *OPTIONS, folder=tmp_path, **database).returncode == 0
    assert rows(direct_url, CONTENT) == first


def test_people_can_log_in_with_the_password_that_was_given(
    tmp_path: Path, database: dict[str, str], direct_url: str
) -> None:
    few = ["--users=2", "--articles=0", "--favorites=0", "--comments=0", "--follows=0"]
    assert run("app", "seed", *few, "--password", "s3cret-enough", folder=tmp_path, **database).returncode == 0

    hashes = {row[0] for row in rows(direct_url, "select password_hash from users")}
    assert len(hashes) == 1
    assert str(hashes.pop()).startswith("$argon2id$")


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (Size(users=0), "need users"),
        (Size(articles=0), "need articles"),
        (Size(users=10, articles=10, favorites=51, comments=0, follows=0), "more than half of all pairs of a user"),
        (Size(users=10, articles=0, favorites=0, comments=0, follows=46), "more than half of all pairs of users"),
        (Size(tags=4), "has 5 different tags"),
    ],
)
def test_a_size_that_no_data_can_have_is_refused_with_the_reason(size: Size, reason: str) -> None:
    assert reason in str(problem(size))


def test_a_size_that_is_refused_is_a_line_that_says_why(tmp_path: Path, database: dict[str, str]) -> None:
    done = run("app", "seed", "--users", "1", folder=tmp_path, **database)

    assert done.returncode == 2
    assert done.stderr.endswith("1000000 favorites are more than half of all pairs of a user and an article\n")


def test_the_sizes_that_have_a_name_are_possible_and_as_extreme_as_promised() -> None:
    assert [problem(size) for size in SIZES.values()] == [None] * 3
    large = SIZES["large"]
    assert (large.top_favorites, large.top_follows, large.top_articles) == (500_000, 50_000, 100_000)


def test_shares_add_up_and_none_is_too_large() -> None:
    for total, count, most in ((100, 7, 20), (140, 7, 20), (0, 3, 5), (5, 10, 1), (1000, 3, 900)):
        parts = shares(Random(1), total, count, most)
        assert (sum(parts), len(parts)) == (total, count)
        assert 0 <= min(parts) <= max(parts) <= most


def test_zipf_draws_the_first_twice_as_often_as_the_second() -> None:
    zipf = Zipf(Random(1), 50, shuffled=False)
    drawn = [zipf.draw() for _ in range(20_000)]
    assert 1.7 < drawn.count(0) / drawn.count(1) < 2.3
    assert len(zipf.draw_different(25, without=3)) == 25
    assert 3 not in zipf.draw_different(25, without=3)


def test_names_never_repeat() -> None:
    made = names(Random(1), 250_000)
    assert len(set(made)) == 250_000
