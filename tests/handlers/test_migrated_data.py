"""Rows that were stored before a rule: each migration reports them, loses none, and they keep working."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import psycopg
import pytest

from app.db import Database
from app.migration_files import MIGRATIONS, MigrationError, migration_ids
from app.migrations import apply_migrations, rollback_migrations
from app.security import unusable_hash
from tests.databases import TemplateDatabase, replace_database
from tests.documented import outcome
from tests.handlers.test_counts import NUMBERS, ROWS
from tests.processes import ROOT, run

OLD = """
insert into users (username, email, password_hash, bio, image) values
    ('long', 'long@x.org', '', repeat('é', 5000), repeat('i', 2001)),
    ('short', 'short@x.org', '', repeat('𝄞', 2000), null),
    ('a/b', 'slash@x.org', '', null, null), ('..', 'dots@x.org', '', null, null);
insert into articles (author_id, slug_words, title, description, body)
select id, 'w', 't', repeat('d', 1001), repeat('b', 100001) from users where username = 'long';
insert into articles (author_id, slug_words, title, description, body)
select id, 'w', 't', repeat('é', 1000), repeat('é', 100000) from users where username = 'long';
insert into comments (article_id, author_id, body)
select articles.id, author_id, repeat('c', n) from articles, unnest(array[10000, 10001]) as n where articles.id = 1;
"""
TWINS = r"""
insert into users (username, email, password_hash)
values ('Ann', '1@x.org', ''), ('ANN', '2@x.org', ''), (U&'\FF41nn', '3@x.org', ''), ('bob', '4@x.org', ''),
    ('Straße', '5@x.org', ''), ('STRASSE', '6@x.org', ''), ('cleo', U&'\FF17@x.org', ''), ('dan', '7@x.org', '')
"""
REFUSED = r"is longer than \d+ characters|must not contain"
EVERYTHING = """
select row(users.*)::text from users union all select row(articles.*)::text from articles
union all select row(comments.*)::text from comments union all select row(article_tags.*)::text from article_tags
order by 1
"""


class OldDatabase:
    """A database as it was before the migration with this number, and what happens when that is applied."""

    def __init__(self, dsn: str, folder: Path, number: int) -> None:
        self.dsn = dsn
        self._folder = folder
        self._apply(number - 1)

    def migrate(self, last: int = 10) -> None:
        """Apply the migrations up to this one."""
        self._apply(last)

    def roll_back(self) -> None:
        """Undo the newest of them."""
        rollback_migrations(self.dsn, folder=self._folder)

    def _apply(self, last: int) -> None:
        for id_ in migration_ids()[:last]:
            for suffix in (".sql", ".rollback.sql"):
                (self._folder / (id_ + suffix)).write_bytes((MIGRATIONS / (id_ + suffix)).read_bytes())
        apply_migrations(self.dsn, self._folder)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()

    def execute(self, sql: str) -> None:
        """Run statements."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(sql.encode())


@pytest.fixture
def before(server_dsn: str, tmp_path: Path) -> Iterator[Callable[[int], OldDatabase]]:
    """Makes a database as it was before a migration."""
    with psycopg.connect(server_dsn, autocommit=True) as server:
        database = TemplateDatabase(server, server_dsn)
        database.create()
        try:
            yield partial(OldDatabase, database.dsn, tmp_path)
        finally:
            database.drop()


Before = Callable[[int], OldDatabase]


def test_texts_beyond_a_limit_are_reported_and_stay(before: Before, capsys: pytest.CaptureFixture[str]) -> None:
    old = before(8)
    old.execute(OLD)
    rows = old.rows(EVERYTHING)

    old.migrate()

    told = capsys.readouterr().err
    for line in (
        "WARNING: 1 in articles.body longer than 100000 characters, the longest has 100001: kept as they are",
        "WARNING: 1 in articles.description longer than 1000 characters, the longest has 1001: kept as they are",
        "WARNING: 1 in comments.body longer than 10000 characters, the longest has 10001: kept as they are",
        "WARNING: 1 in users.bio longer than 2000 characters, the longest has 5000: kept as they are",
        "WARNING: 1 in users.image longer than 2000 characters, the longest has 2001: kept as they are",
        "WARNING: 2 in users.username that no path leads to: kept as they are",
    ):
        assert line in told
    assert told.count("WARNING") == 6
    assert [row[0].replace(",f,f)", ")") for row in old.rows(EVERYTHING)] == [row[0] for row in rows]
    found = old.rows('select table_name, id, column_name, characters, "limit" from values_over_limit order by 1, 2, 3')
    assert found == [
        ("articles", 1, "body", 100001, 100000),
        ("articles", 1, "description", 1001, 1000),
        ("comments", 2, "body", 10001, 10000),
        ("users", 1, "bio", 5000, 2000),
        ("users", 1, "image", 2001, 2000),
    ]
    assert old.rows("select username from unreachable_usernames order by 1") == [("..",), ("a/b",)]

    for _ in range(3):
        old.roll_back()
    assert old.rows(EVERYTHING) == rows


def test_whatever_else_of_such_a_row_can_still_change(before: Before) -> None:
    old = before(8)
    old.execute(OLD)
    old.migrate()

    old.execute("""
        update users set password_hash = 'other', updated_at = now();
        update users set bio = bio, image = image, username = username, email = email || 'x';
        update users set username = 'longer' where username = 'long';
        update articles set title = 'other', body = body, description = description;
        update articles set description = 'short' where id = 1;
        update comments set updated_at = now(), body = body;
        update users set bio = null, image = '' where username = 'longer';
    """)

    assert [row[:3] for row in old.rows("select * from values_over_limit")] == [
        ("articles", 1, "body"),
        ("comments", 2, "body"),
    ]


def test_a_database_without_such_rows_is_told_nothing(before: Before, capsys: pytest.CaptureFixture[str]) -> None:
    old = before(8)
    old.migrate()

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", [("yoyo", "apply"), ("app", "migrate"), ("app", "migrate", "apply")])
def test_every_command_that_migrates_shows_what_was_found(before: Before, command: tuple[str, ...]) -> None:
    old = before(8)
    old.execute(OLD)
    old.execute(TWINS)

    done = run(*command, folder=ROOT, DATABASE_URL=old.dsn)

    assert done.returncode == 0, done.stderr
    assert "WARNING: 1 in users.bio longer than 2000 characters" in done.stderr
    assert "WARNING: 5 in users.username that are the same as another after NFKC and case folding" in done.stderr


def test_tags_lose_the_spaces_around_them_and_nothing_else(before: Before) -> None:
    spaces = "".join(character for character in map(chr, range(1, 0x10FFFF)) if not character.strip())
    assert len(spaces) == 29
    old = before(8)
    old.execute(OLD)
    with psycopg.connect(old.dsn, autocommit=True) as connection:
        for tag in (
            "plain",
            " plain",
            "plain ",
            "two words",
            "\ttwo words",
            f"{spaces}all{spaces}",
            "\u200bkept\u200b",
        ):
            connection.execute("insert into article_tags select min(id), %s from articles", [tag])
        connection.execute("insert into article_tags select max(id), ' plain' from articles")

    old.migrate()

    assert old.rows('select article_id, tag from article_tags order by 1, tag collate "C"') == [
        (1, "all"), (1, "plain"), (1, "two words"), (1, "\u200bkept\u200b"), (2, "plain"),
    ]  # fmt: skip


def test_a_database_in_another_encoding_is_told_what_it_needs(server_dsn: str) -> None:
    name = f"bindery_{secrets.token_hex(6)}_test"
    with psycopg.connect(server_dsn, autocommit=True) as server:
        server.execute(f"create database {name} encoding 'LATIN1' locale 'C' template template0".encode())
        try:
            with pytest.raises(MigrationError, match=r"the encoding of this database is LATIN1.*encoding 'UTF8'"):
                apply_migrations(replace_database(server_dsn, name))
        finally:
            server.execute(f"drop database {name} with (force)".encode())


def test_names_that_are_the_same_are_reported_and_stay(before: Before, capsys: pytest.CaptureFixture[str]) -> None:
    old = before(10)
    old.execute(TWINS)
    rows = old.rows("select id, username, email from users order by id")

    old.migrate()

    told = capsys.readouterr().err
    assert told.count("WARNING") == 2
    assert "WARNING: 5 in users.username that are the same as another after NFKC and case folding" in told
    assert "WARNING: 2 in users.email that are the same as another after NFKC and case folding" in told
    assert old.rows("select id, username, email from users order by id") == rows
    by_name, by_email = (line[line.index("select id") :] for line in told.splitlines())
    assert [row[1] for row in old.rows(by_name)] == ["Ann", "ANN", "\uff41nn", "Straße", "STRASSE"]
    assert [row[2] for row in old.rows(by_email)] == ["\uff17@x.org", "7@x.org"]

    old.roll_back()
    assert old.rows("select id, username, email from users order by id") == rows
    assert old.rows("select count(*) from users where username_twin or email_twin") == [(0,)]


@pytest.fixture
async def twins(db: Database, client: httpx2.AsyncClient) -> list[dict[str, str]]:
    """Two accounts of people who could log in before, with names that are the same now; the headers of each."""
    users = [("Ann", "upper@x.org"), ("ann", "lower@x.org")]
    headers: list[dict[str, str]] = []
    for number, (_, email) in enumerate(users):
        new = {"username": f"free{number}", "email": email, "password": "correct horse"}
        answer = await client.post("/api/users", json={"user": new})
        headers.append({"Authorization": f"Token {answer.json()['user']['token']}"})
    await db.execute("alter table users disable trigger user")
    for username, email in users:
        await db.execute("update users set username = $1, username_twin = true where email = $2", username, email)
    await db.execute("alter table users enable trigger user")
    return headers


async def test_twins_log_in_and_change_what_they_like(client: httpx2.AsyncClient, twins: list[dict[str, str]]) -> None:
    for email, name in (("upper@x.org", "Ann"), ("lower@x.org", "ann")):
        answer = await client.post("/api/users/login", json={"user": {"email": email, "password": "correct horse"}})
        assert answer.json()["user"]["username"] == name
        assert (await client.get(f"/api/profiles/{name}")).json()["profile"]["username"] == name
    for headers, name in zip(twins, ("Ann", "ann"), strict=True):
        changes = {"username": name, "bio": "Text", "password": "another horse"}
        answer = await client.put("/api/user", headers=headers, json={"user": changes})
        assert (answer.status_code, answer.json()["user"]["bio"]) == (200, "Text")


async def test_nobody_takes_the_name_of_a_twin_while_one_of_them_has_it(
    client: httpx2.AsyncClient, twins: list[dict[str, str]], db: Database
) -> None:
    taken = (409, {"username": ["has already been taken"]})
    new = {"username": "ANN", "email": "new@x.org", "password": "correct horse"}
    assert outcome(await client.post("/api/users", json={"user": new})) == taken
    for headers, name in zip(twins, ("aNN", "ANN"), strict=True):
        assert outcome(await client.put("/api/user", headers=headers, json={"user": {"username": name}})) == taken

    freed = await client.put("/api/user", headers=twins[0], json={"user": {"username": "Anna"}})
    assert freed.status_code == 200
    assert outcome(await client.post("/api/users", json={"user": new})) == taken
    assert outcome(await client.put("/api/user", headers=twins[0], json={"user": {"username": "Ann"}})) == taken
    assert await db.fetch("select username, username_twin from users order by id") == [("Anna", False), ("ann", True)]

    own = await client.put("/api/user", headers=twins[1], json={"user": {"username": "ANN"}})
    assert own.status_code == 200
    assert await db.fetchval("select count(*) from users where username_twin") == 0
    assert outcome(await client.post("/api/users", json={"user": {**new, "username": "ann"}})) == taken


async def test_a_twin_who_says_their_own_name_and_a_taken_address_hears_of_the_address_only(
    client: httpx2.AsyncClient, twins: list[dict[str, str]]
) -> None:
    changes = {"username": "Ann", "email": "lower@x.org"}
    answer = await client.put("/api/user", headers=twins[0], json={"user": changes})

    assert outcome(answer) == (409, {"email": ["has already been taken"]})


async def test_accounts_whose_addresses_are_the_same_log_in_each_with_its_own(
    client: httpx2.AsyncClient, db: Database, twins: list[dict[str, str]]
) -> None:
    composed, decomposed = "caf\u00e9@x.org", "cafe\u0301@x.org"
    await db.execute("alter table users disable trigger user")
    for name, email in (("Ann", composed), ("ann", decomposed)):
        await db.execute("update users set email = $1, email_twin = true where username = $2", email, name)
    await db.execute("alter table users enable trigger user")

    for email, name in ((composed, "Ann"), (decomposed, "ann"), (composed.upper(), "Ann")):
        answer = await client.post("/api/users/login", json={"user": {"email": email, "password": "correct horse"}})
        assert answer.json()["user"]["username"] == name
    new = {"username": "new", "email": "CAFE\u0301@x.org", "password": "correct horse"}
    taken = (409, {"email": ["has already been taken"]})
    assert outcome(await client.post("/api/users", json={"user": new})) == taken
    kept = await client.put("/api/user", headers=twins[1], json={"user": {"email": decomposed, "bio": "Text"}})
    assert kept.status_code == 200
    assert (await client.put("/api/user", headers=twins[0], json={"user": {"email": "a@x.org"}})).status_code == 200
    assert outcome(await client.put("/api/user", headers=twins[0], json={"user": {"email": composed}})) == taken
    answer = await client.post("/api/users/login", json={"user": {"email": "a@x.org", "password": "correct horse"}})
    assert answer.json()["user"]["username"] == "Ann"


async def test_new_rows_beyond_a_limit_are_refused_by_the_database_too(db: Database) -> None:
    user = "insert into users (username, email, password_hash, bio, image) values ({})"
    article = (
        "insert into articles (author_id, slug_words, title, description, body) select min(id), '', 't', {} from users"
    )
    refused = {
        "users_bio_limit": user.format("'a', 'a@b', '', repeat('é', 2001), null"),
        "users_image_limit": user.format("'a', 'a@b', '', null, repeat('é', 2001)"),
        "users_username_path": user.format("'a/', 'a@b', '', null, null"),
        "articles_description_limit": article.format("repeat('é', 1001), 'b'"),
        "articles_body_limit": article.format("'d', repeat('é', 100001)"),
        "comments_body_limit": "insert into comments (article_id, author_id, body)"
        " select id, author_id, repeat('é', 10001) from articles",
    }
    await db.execute(user.format(f"'ok', 'ok@b', '{unusable_hash()}', repeat('é', 2000), repeat('é', 2000)"))
    await db.execute(article.format("repeat('é', 1000), repeat('é', 100000)"))

    for constraint, sql in refused.items():
        with pytest.raises(asyncpg.CheckViolationError, match=REFUSED) as error:
            await db.execute(sql)
        assert error.value.constraint_name == constraint
    for sql in ("bio = bio || 'x'", "image = image || 'x'", "username = '.'"):
        with pytest.raises(asyncpg.CheckViolationError, match=REFUSED):
            await db.execute(f"update users set {sql}")


TAGGED = """
insert into users (username, email, password_hash)
select 'user' || n, n || '@x.org', '' from generate_series(1, 4) as n;
insert into articles (author_id, slug_words, title, description, body)
select users.id, 'a', n::text, 'B', 'C' from users, generate_series(1, 5) as n where users.id <= 3;
insert into article_tags (article_id, tag)
select articles.id, tag from articles, unnest(array['b', 'a', 'c']) as tag where articles.id % 3 <> 0;
insert into favorites (user_id, article_id)
select users.id, articles.id from users, articles where (users.id + articles.id) % 2 = 0;
"""
ALL_ROWS = """
select 'user', username, id, 0 from users
union all select 'article', title, id, author_id from articles
union all select 'tag', tag, article_id, 0 from article_tags
union all select 'favorite', '', user_id, article_id from favorites
union all select 'total', '', sum(articles), 0 from article_counts
order by 1, 3, 2, 4
"""


def test_numbers_and_tags_of_old_articles_are_exact_and_all_comes_back_when_undone(before: Before) -> None:
    old = before(11)
    old.execute(TAGGED)
    rows, writing = old.rows(ALL_ROWS), "update articles set title = 'new' where id = 1"

    old.migrate(11)
    assert old.rows(NUMBERS) == old.rows(ROWS)
    assert old.rows("select tags from articles where id in (1, 3) order by id") == [(["a", "b", "c"],), ([],)]
    old.execute("delete from articles where id = 2; delete from favorites where article_id = 4; " + writing)
    assert old.rows(NUMBERS) == old.rows(ROWS)

    old.roll_back()
    kept = [row for row in rows if row[0] in {"user", "favorite", "tag"} and 2 not in row[2:] and 4 not in row[2:]]
    assert [row for row in old.rows(ALL_ROWS) if row in kept] == kept
    assert old.rows("select sum(articles) from article_counts") == [(14,)]
    old.execute("delete from articles where id = 1; insert into article_tags (article_id, tag) values (5, 'later')")
    assert old.rows("select sum(articles) from article_counts") == [(13,)]

    old.migrate(11)
    assert old.rows(NUMBERS) == old.rows(ROWS)
