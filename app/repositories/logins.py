"""Attempts to log in, counted by account and address."""

from dataclasses import dataclass

from app.db import Executor, Queries
from app.repositories import SQL

queries = Queries(SQL / "logins.sql", harmless={"folded", "login_account"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """Whether the attempt may go on, and after how many seconds the oldest attempt that counts is forgotten."""

    is_allowed: bool
    seconds: int


@queries.bind
async def start_attempt(
    db: Executor,
    *,
    email: str,
    address: str,
    window: int,
    most_of_pair: int,
    most_of_address: int,
    most_of_account: int,
) -> Attempt:
    """Count an attempt of the last `window` seconds, if it is within the limits.

    `most_of_account` holds for addresses from which the account never logged in.
    """
    ...


@queries.bind
async def end_attempt(db: Executor, *, email: str, address: str) -> None:
    """Forget the attempts of this account from this address, and remember the address: the log-in succeeded."""
    ...


@queries.bind
async def give_back_attempt(db: Executor, *, email: str, address: str) -> None:
    """Count the attempt no more: its password was not looked at."""
    ...


@queries.bind
async def delete_old_attempts(db: Executor, *, window: int) -> int:
    """Delete and count the attempts that are older than `window` seconds, and the addresses of 90 days ago."""
    ...
