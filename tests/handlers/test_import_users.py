"""`python -m app import users`: all accounts of a CSV file or none, and an error names the line."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from app.db import Database
from app.imports import ImportFailed, import_users
from tests.network import Network
from tests.processes import run

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$R0pNRHVBTFNlaGJqWGtSZ0FBQUFBQUFBQUFBQUFBQUE"


def people(tmp_path: Path, text: str) -> Path:
    """A CSV file with this text."""
    path = tmp_path / "people.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


async def names(db: Database) -> list[str]:
    """Who has an account."""
    return [row["username"] for row in await db.fetch("select username from users order by id")]


async def test_each_line_becomes_an_account(db: Database, tmp_path: Path) -> None:
    header, ann = "email,username,bio,image,password_hash", f'ann@x.org,ann,"two\nlines",https://x.org/a.png,"{HASH}"'
    path = people(tmp_path, f"{header}\n{ann}\nbob@x.org,bob,,,\n")
    read: list[int] = []

    assert await import_users(db, path, dry_run=False, advance=read.append) == 2

    assert sum(read) == path.stat().st_size
    rows = await db.fetch("select username, email, bio, image, password_hash = $1 as kept from users order by id", HASH)
    assert [tuple(row) for row in rows] == [
        ("ann", "ann@x.org", "two\nlines", "https://x.org/a.png", True),
        ("bob", "bob@x.org", None, None, False),
    ]


async def test_nobody_can_log_in_to_an_account_without_a_hash(
    db: Database, client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    await import_users(db, people(tmp_path, "email,username\nbob@x.org,bob\n"), dry_run=False, advance=lambda _: None)

    for password in ("bob", "x" * 8):
        answer = await client.post("/api/users/login", json={"user": {"email": "bob@x.org", "password": password}})
        assert answer.status_code == 401


async def test_a_dry_run_tries_everything_and_stores_nothing(db: Database, tmp_path: Path) -> None:
    path = people(tmp_path, "email,username\nann@x.org,ann\nbob@x.org,bob\n")

    assert await import_users(db, path, dry_run=True, advance=lambda _: None) == 2
    assert await names(db) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("username\nann\n", "1: there is no column 'email'"),
        ("username,email,password\nann,a@x.org,secret\n", "1: column 'password' is unknown"),
        ("username,email,email\nann,a@x.org,b@x.org\n", "1: column 'email' comes twice"),
        ("username,email\nann,a@x.org\nbob\n", "3: 1 values for 2 columns"),
        ('username,email,bio\nann,a@x.org,"two\nlines"\nbob,nowhere,\n', "4: email: is not an e-mail address"),
        ("username,email\nann,a@x.org\n ,b@x.org\n", "3: username: can't be blank"),
        ("username,email,password_hash\nann,a@x.org,secret\n", "2: password_hash: is not a hash of argon2"),
        ('username,email,bio\nann,a@x.org,"two\nlines"\nann,b@x.org,\n', "4: username: duplicate key value"),
        ("username,email\nann,a@x.org\nbob,A@x.org\n", "3: email: duplicate key value"),
        ("username,email\nann,a@x.org\n\uff21NN,b@x.org\n", "3: username: duplicate key value"),
        (f"username,email\nann,a@x.org\n{'b' * 101},b@x.org\n", "3: username: is too long (at most 100 characters)"),
        ("username,email\nann,a@x.org\nb\0b,b@x.org\n", "3: username: must not contain a NUL character"),
        ("username,email\nann,a@x.org\nb/b,b@x.org\n", '3: username: must not contain "/"'),
        (f"username,email,bio\nann,a@x.org,{'b' * 2001}\n", "2: bio: is too long (at most 2000 characters)"),
        (f"username,email,image\nann,a@x.org,{'b' * 2001}\n", "2: image: is too long (at most 2000 characters)"),
    ],
)
async def test_an_error_names_the_line_and_nothing_is_stored(
    db: Database, tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(ImportFailed) as failure:
        await import_users(db, people(tmp_path, text), dry_run=False, advance=lambda _: None)

    assert str(failure.value).startswith(f"{tmp_path}/people.csv:{problem}")
    assert await names(db) == []


async def test_a_name_that_several_accounts_share_is_not_taken_by_an_import(db: Database, tmp_path: Path) -> None:
    await db.execute("alter table users disable trigger user")
    await db.execute(
        "insert into users (username, email, password_hash, username_twin)"
        " values ('Ann', 'a@b', '', true), ('ANN', 'b@b', '', true)"
    )
    await db.execute("alter table users enable trigger user")

    with pytest.raises(ImportFailed, match="a username is the same as a stored one"):
        await import_users(db, people(tmp_path, "username,email\nann,a@x.org\n"), dry_run=False, advance=lambda _: None)
    assert await names(db) == ["Ann", "ANN"]


class DeafNetwork(Network):
    """A network that breaks when the COMMIT of a COPY is answered."""

    async def _gate(self) -> None:
        texts = [text.lower() for text in self.statements]
        if texts[-1:] == ["commit"] and any(text.startswith("copy") for text in texts):
            self.drop()


async def test_an_import_whose_commit_nobody_answered_says_that_it_may_be_done(
    db: Database, database: dict[str, str], direct_url: str, tmp_path: Path
) -> None:
    path = people(tmp_path, "email,username\nann@x.org,ann\n")
    # A command goes past a PgBouncer.
    async with DeafNetwork(direct_url) as network:
        command = ("app", "import", "users", str(path))
        done = await asyncio.to_thread(run, *command, folder=tmp_path, **dict.fromkeys(database, network.dsn))

    assert done.returncode == 1
    assert f"Error: {path}: all of it was stored or nothing; look before you repeat it" in done.stderr
    assert "Traceback" not in done.stderr
    assert await names(db) == ["ann"]


async def test_the_command_says_how_many_or_which_line(db: Database, database: dict[str, str], tmp_path: Path) -> None:
    path = people(tmp_path, "email,username\nann@x.org,ann\n")
    command = ("app", "import", "users", str(path))

    done = run(*command, folder=tmp_path, **database)
    assert (done.returncode, done.stdout) == (0, "1 users imported\n"), done.stderr
    done = run(*command, "--dry-run", folder=tmp_path, **database)
    assert done.returncode == 1
    assert f"Error: {path}:2: username: duplicate key value" in done.stderr
