"""Imports accounts from a CSV file, all of them or none."""

import csv
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from app.db import BadArgument, BadRow, CommitUnknown, Conflict, Database
from app.handlers.users import ImportedUser
from app.http.bodies import problems
from app.repositories import users
from app.repositories.users import NewAccount
from app.security import is_password_hash, unusable_hash

REQUIRED = ("username", "email")
OPTIONAL = ("password_hash", "bio", "image")


class ImportFailed(Exception):
    """The file was not imported, or may not be. The message begins with its name and the number of an invalid line."""


class _DryRun(Exception):
    """Takes back what was only tried."""


async def import_users(db: Database, path: Path, *, dry_run: bool, advance: Callable[[int], None]) -> int:
    """Store an account for each line of the file; how many there were. ImportFailed names the line that is wrong.

    The header names the columns: username, email and, if wanted, password_hash, bio and image. There is no column for a
    password, so that no file with passwords ever has to exist: an account comes with the argon2 hash that another
    system kept, or without one, and then no login is possible. With `dry_run` everything is tried and rolled back.
    `advance` is told, now and then, how many more bytes of the file have been read.
    """
    lines = array("Q")
    try:
        return await _copy(db, path, lines, dry_run=dry_run, advance=advance)
    except BadRow as error:
        line = lines[error.row - 1] if error.row <= len(lines) else error.row + 1
        column = f"{error.column}: " if error.column else ""
        raise ImportFailed(f"{path}:{line}: {column}{error.reason}") from error
    except CommitUnknown as error:
        raise ImportFailed(f"{path}: all of it was stored or nothing; look before you repeat it ({error})") from error
    except Conflict as error:
        # Only names that several accounts share are looked for after the last line.
        raise ImportFailed(f"{path}: a {error.field} is the same as a stored one") from error
    except (OSError, UnicodeDecodeError, csv.Error, BadArgument) as error:
        raise ImportFailed(f"{path}: {error}") from error


async def _copy(db: Database, path: Path, lines: "array[int]", *, dry_run: bool, advance: Callable[[int], None]) -> int:
    copied = 0
    with suppress(_DryRun):
        async with db.transaction() as tx:
            copied = await users.copy_users(tx, rows=_accounts(path, lines, advance))
            _stop_if(dry_run)
    return copied


def _stop_if(dry_run: bool) -> None:
    if dry_run:
        raise _DryRun


def _accounts(path: Path, lines: "array[int]", advance: Callable[[int], None]) -> Iterator[NewAccount]:
    """The accounts in the file; `lines` gets the number of the line in which each one ends."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(_counted(file, advance), strict=True)
        header: list[str] = next(reader, list[str]())
        _check_header(path, header)
        for values in reader:
            if values:
                lines.append(reader.line_num)
                yield _account(path, reader.line_num, header, values)


def _counted(lines: Iterator[str], advance: Callable[[int], None]) -> Iterator[str]:
    read = 0
    for line in lines:
        read += len(line.encode())
        if read >= 65_536:
            advance(read)
            read = 0
        yield line
    advance(read)


def _check_header(path: Path, header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    unknown = [name for name in header if name not in REQUIRED + OPTIONAL]
    faults = [f"there is no column {name!r}" for name in missing]
    faults += [f"column {name!r} is unknown; allowed: {', '.join(REQUIRED + OPTIONAL)}" for name in unknown]
    faults += [f"column {name!r} comes twice" for name in sorted({n for n in header if header.count(n) > 1})]
    if faults:
        raise ImportFailed(f"{path}:1: {'; '.join(faults)}")


def _account(path: Path, line: int, header: list[str], values: list[str]) -> NewAccount:
    if len(values) != len(header):
        raise ImportFailed(f"{path}:{line}: {len(values)} values for {len(header)} columns")
    given = dict(zip(header, values, strict=True))
    password_hash = given.get("password_hash") or unusable_hash()
    if not is_password_hash(password_hash):
        raise ImportFailed(f"{path}:{line}: password_hash: is not a hash of argon2")
    try:
        user = ImportedUser(
            username=given["username"],
            email=given["email"],
            bio=given.get("bio") or None,
            image=given.get("image") or None,
        )
    except ValidationError as error:
        (field, (problem, *_)), *_ = problems(error, "account").items()
        raise ImportFailed(f"{path}:{line}: {field}: {problem}") from None
    return NewAccount(user.username, user.email, password_hash, user.bio, user.image)
